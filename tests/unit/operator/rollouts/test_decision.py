"""A roll-out decided step by step: what becomes of the record as time goes on and things are seen."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tandem_operator.api.outcomes import Outcome
from tandem_operator.api.rollout import Phase, RolloutSpec, RolloutStatus
from tandem_operator.rollouts.decision import SPREAD, Progress, Sight, decide, first_record, weight
from tandem_operator.rollouts.record import Record, Stage, read, written
from tandem_operator.rollouts.telling import told
from tandem_operator.rollouts.version import Version

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
READY = Progress(serves=True, verified=True)
FAILED = Progress(failure="no such image")


def version(name: str, inputs: str = "", model: str = "org/model") -> Version:
    template = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "engine", "image": name}]}}
    return Version(inputs=inputs or name, template=template, upstream={"name": "engine", "model": model})


class Story:
    """A service's engine through time; each decision is kept as the cluster would keep it."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.sight = Sight(NOW, RolloutSpec(), version("one"), Progress(), heard=True)
        self.record = first_record(self.sight)
        self.see(engine=READY)

    def see(self, after: timedelta = timedelta(), **changes: Any) -> RolloutStatus:
        settings = RolloutSpec.model_validate(self.settings)
        self.sight = replace(self.sight, now=self.sight.now + after, settings=settings, **changes)
        self.record = decide(self.record, self.sight)
        if self.record.trial:
            assert decide(self.record, self.sight) == self.record, "nothing is left to decide"
        assert read({"data": written(self.record)}) == self.record
        return told(self.record, self.sight)

    @property
    def image(self) -> str:
        return str(self.record.current.template["spec"]["containers"][0]["image"])

    @property
    def weight(self) -> int:
        return weight(self.record, self.sight.settings)

    @property
    def stage(self) -> Stage | None:
        return self.record.trial.stage if self.record.trial else None


def counts(upstream: str, requests: int, failures: int = 0, seconds: float = 0.0, pod: str = "10.0.0.1") -> Outcome:
    return Outcome(
        pod=pod,
        upstream=upstream,
        requests=requests,
        failures=failures,
        first_tokens=requests - failures,
        first_token_seconds=seconds or requests * 0.1,
    )


def judged(**settings: Any) -> Story:
    """A candidate at its first step."""
    story = Story(strategy="Canary", **settings)
    story.see(wanted=version("two"), outcomes=(counts("engine", 1000),))
    story.see(candidate=READY)
    assert (story.stage, story.weight, story.image) == (Stage.JUDGED, 10, "one")
    return story


def promoted() -> Story:
    """A candidate that stands in for the engine, which gets the same version."""
    story = judged()
    for _ in range(2):
        story.see(after=timedelta(minutes=5))
    assert (story.stage, story.weight, story.image) == (Stage.FINAL, 100, "one")
    story.see(after=SPREAD, engine=Progress())
    assert (story.stage, story.weight, story.image) == (Stage.STANDING_IN, 100, "two")
    return story


def test_a_first_creation_is_no_roll_out() -> None:
    story = Story(strategy="Canary")
    assert story.see().phase is Phase.COMPLETE
    assert (story.record.trial, story.record.previous) == (None, None)


def test_pods_are_replaced_at_once_and_what_served_is_kept() -> None:
    story = Story()
    status = story.see(wanted=version("two"), engine=Progress(waits="1 of 2 pods"))
    assert (status.phase, status.message) == (Phase.PROGRESSING, "1 of 2 pods")
    assert story.image == "two"
    assert story.record.previous == version("one")
    assert story.see(engine=READY).phase is Phase.COMPLETE


def test_what_does_not_become_ready_is_rolled_back_and_not_tried_again_until_the_spec_is_another() -> None:
    story = Story()
    story.see(wanted=version("two"), engine=Progress())
    status = story.see(engine=FAILED)
    assert (status.phase, story.image) == (Phase.ROLLED_BACK, "one")
    assert status.message.startswith("no such image")
    assert story.see(engine=READY).phase is Phase.ROLLED_BACK
    assert story.see(wanted=version("other", inputs="two")).phase is Phase.ROLLED_BACK, "the same spec, another release"
    story.see(wanted=version("three"), engine=Progress())
    assert story.image == "three"
    story.see(engine=FAILED)
    assert story.image == "one"
    assert story.see(wanted=version("one"), engine=READY).phase is Phase.COMPLETE
    story.see(wanted=version("three"), engine=Progress())
    assert story.image == "three", "the spec was another in between"


def test_without_automatic_rollback_it_stays_and_says_so() -> None:
    story = Story(automaticRollback=False)
    story.see(wanted=version("two"), engine=Progress())
    status = story.see(engine=FAILED)
    assert (status.phase, story.image) == (Phase.PROGRESSING, "two")
    assert status.message == "no such image; nothing is rolled back"


def test_two_changes_in_a_row_go_back_to_what_served_last() -> None:
    story = Story()
    story.see(wanted=version("two"), engine=Progress())
    story.see(wanted=version("three"))
    story.see(engine=FAILED)
    assert story.image == "one"


def test_a_canary_goes_step_by_step_to_its_end() -> None:
    story = Story(strategy="Canary", steps=[{"weight": 5, "duration": "1m"}, {"weight": 50, "duration": "2m"}])
    status = story.see(wanted=version("two"))
    assert (status.phase, status.weight, status.step, story.image) == (Phase.PROGRESSING, 0, None, "one")
    assert story.see(candidate=Progress(serves=True, waits="tools")).message.endswith("tools")
    assert story.weight == 0
    story.see(candidate=READY, heard=False)
    assert story.weight == 0, "nobody was heard who would send it requests"
    status = story.see(heard=True)
    assert (status.step, status.weight) == (1, 5)
    assert story.see(after=timedelta(seconds=59)).step == 1
    assert story.see(after=timedelta(seconds=1)).weight == 50
    status = story.see(after=timedelta(minutes=2))
    assert (status.phase, status.weight, story.image) == (Phase.PROMOTING, 100, "one")
    story.see(after=SPREAD, engine=Progress())
    assert (story.image, story.weight) == ("two", 100)
    assert story.see(engine=READY).weight == 0
    assert story.stage is Stage.LEAVING
    status = story.see(after=SPREAD)
    assert (status.phase, status.weight, story.record.trial) == (Phase.COMPLETE, None, None)
    assert story.record.previous == version("one")


def test_blue_green_gets_all_requests_at_once() -> None:
    story = Story(strategy="BlueGreen")
    story.see(wanted=version("two"), outcomes=(counts("engine", 100),))
    assert story.see(candidate=READY).weight == 100
    assert story.image == "one"
    story.see(outcomes=(counts("engine", 100), counts("engine-next", 50, failures=10)))
    assert story.stage is Stage.LEAVING, "compared with what was before, as the engine gets no more requests"
    assert told(story.record, story.sight).phase is Phase.ROLLED_BACK


WORSE: dict[str, tuple[Outcome, ...]] = {
    "failures": (counts("engine", 1100), counts("engine-next", 50, failures=2)),
    "slow": (counts("engine", 1100), counts("engine-next", 50, seconds=50 * 0.21)),
}


@pytest.mark.parametrize("outcomes", WORSE.values(), ids=WORSE.keys())
def test_a_candidate_that_is_worse_is_given_up_and_the_engine_never_touched(outcomes: tuple[Outcome, ...]) -> None:
    story = judged()
    status = story.see(outcomes=outcomes)
    assert (status.phase, status.weight, story.stage) == (Phase.ROLLED_BACK, 0, Stage.LEAVING)
    status = story.see(after=SPREAD)
    assert (status.phase, story.stage, story.image) == (Phase.ROLLED_BACK, None, "one")
    assert story.see(after=SPREAD).phase is Phase.ROLLED_BACK
    story.see(wanted=version("three"), candidate=Progress())
    assert story.stage is Stage.STARTING


NO_WORSE: dict[str, tuple[Outcome, ...]] = {
    "too few": (counts("engine", 1100), counts("engine-next", 19, failures=19)),
    "the engine has too few": (counts("engine", 1019), counts("engine-next", 50, failures=50)),
    "one of a hundred": (counts("engine", 1100), counts("engine-next", 100, failures=2)),
    "an orchestrator that was not heard before": (
        counts("engine", 1100),
        counts("engine", 1000, pod="10.0.0.2"),
        counts("engine-next", 50, failures=50, pod="10.0.0.2"),
    ),
}


@pytest.mark.parametrize("outcomes", NO_WORSE.values(), ids=NO_WORSE.keys())
def test_what_tells_nothing_leaves_it_to_time(outcomes: tuple[Outcome, ...]) -> None:
    story = judged()
    assert story.see(outcomes=outcomes).step == 1
    assert story.see(after=timedelta(minutes=5)).step == 2


def test_an_orchestrator_that_started_anew_counts_from_nothing() -> None:
    story = judged()
    status = story.see(outcomes=(counts("engine", 30), counts("engine-next", 30, failures=30)))
    assert status.phase is Phase.ROLLED_BACK


def test_a_worse_candidate_stays_at_its_step_where_nothing_is_rolled_back() -> None:
    story = judged(automaticRollback=False)
    status = story.see(after=timedelta(hours=1), outcomes=WORSE["failures"])
    assert (status.phase, status.step) == (Phase.PROGRESSING, 1)
    assert "automaticRollback" in status.message


def test_a_candidate_that_never_gets_ready_is_gone_at_once() -> None:
    story = Story(strategy="Canary")
    story.see(wanted=version("two"))
    status = story.see(candidate=FAILED)
    assert (status.phase, story.record.trial, story.image) == (Phase.ROLLED_BACK, None, "one")


def test_the_engine_that_fails_at_the_end_gets_back_what_it_had_while_the_candidate_serves() -> None:
    story = promoted()
    status = story.see(engine=FAILED)
    assert (status.phase, story.image, story.weight) == (Phase.ROLLED_BACK, "one", 100)
    story.see(engine=Progress())
    assert story.weight == 100
    assert story.see(engine=READY).weight == 0
    assert story.see(after=SPREAD).phase is Phase.ROLLED_BACK
    assert (story.stage, story.image) == (None, "one")


def test_a_change_in_the_middle_begins_anew() -> None:
    story = judged()
    status = story.see(wanted=version("three"), candidate=Progress())
    assert (status.weight, story.stage) == (0, Stage.STARTING)
    assert story.record.trial
    assert story.record.trial.version == version("three")
    story.see(candidate=READY)
    assert story.see(wanted=version("one")).phase is Phase.PROMOTING, "it leaves"
    assert story.stage is Stage.LEAVING


def test_a_change_at_the_end_waits_until_the_candidate_is_gone() -> None:
    story = promoted()
    story.see(wanted=version("three"))
    assert (story.stage, story.image) == (Stage.STANDING_IN, "two")
    story.see(engine=READY, candidate=Progress())
    story.see(after=SPREAD)
    story.see()
    assert (story.stage, story.image) == (Stage.STARTING, "two")


def test_what_is_paused_stays_and_its_step_begins_anew() -> None:
    story = judged()
    story.settings["paused"] = True
    status = story.see(after=timedelta(hours=1), outcomes=WORSE["failures"])
    assert (status.phase, status.step) == (Phase.PAUSED, 1)
    story.settings["paused"] = False
    assert story.see(outcomes=()).step == 1
    assert story.see(after=timedelta(minutes=5)).step == 2


def test_nothing_begins_while_paused() -> None:
    story = Story(paused=True)
    assert story.see().phase is Phase.COMPLETE
    assert story.see(wanted=version("two")).phase is Phase.PAUSED
    assert story.image == "one"


def test_undo_abandons_what_runs_until_it_is_taken_back() -> None:
    story = judged()
    story.settings["undo"] = True
    status = story.see()
    assert (status.phase, status.weight, story.image) == (Phase.UNDONE, 0, "one")
    status = story.see(after=SPREAD)
    assert (status.phase, story.stage) == (Phase.UNDONE, None)
    assert story.see(wanted=version("three")).phase is Phase.UNDONE
    story.settings["undo"] = False
    story.see(candidate=Progress())
    assert story.stage is Stage.STARTING


UNDOABLE: dict[str, Callable[[Story], Any]] = {
    "complete": lambda story: story.see(engine=READY),
    "in the middle": lambda story: story.see(engine=Progress()),
}


@pytest.mark.parametrize("happens", UNDOABLE.values(), ids=UNDOABLE.keys())
def test_undo_goes_back_to_what_was_before(happens: Callable[[Story], Any]) -> None:
    story = Story()
    story.see(wanted=version("two"), engine=Progress())
    happens(story)
    story.settings["undo"] = True
    assert (story.see().phase, story.image) == (Phase.UNDONE, "one")
    assert (story.see(engine=READY).phase, story.image) == (Phase.UNDONE, "one")
    story.settings["undo"] = False
    story.see()
    assert story.image == "two"


def test_undo_at_the_end_lets_the_candidate_serve_until_the_engine_is_back() -> None:
    story = promoted()
    story.settings["undo"] = True
    story.see()
    assert (story.image, story.stage, story.weight) == ("one", Stage.STANDING_IN, 100)
    story.see(engine=READY)
    assert (story.see(after=SPREAD).phase, story.stage, story.image) == (Phase.UNDONE, None, "one")


def test_undo_with_nothing_before_leaves_all() -> None:
    story = Story(undo=True)
    assert "nothing is known" in story.see().message
    assert story.image == "one"


def test_another_release_restarts_nothing_until_it_may() -> None:
    story = Story()
    status = story.see(wanted=version("two", inputs="one"))
    assert (status.phase, story.image) == (Phase.UPDATE_PENDING, "one")
    assert "spec.containers[engine].image" in status.message
    story.settings["takeUpdates"] = True
    story.see(engine=Progress())
    assert story.image == "two"
    story.see(engine=FAILED)
    assert story.see(engine=READY).phase is Phase.ROLLED_BACK
    assert story.image == "one"
    story.see(wanted=version("three", inputs="one"), engine=Progress())
    assert story.image == "three", "the next release is tried"


def test_an_update_comes_with_the_next_change() -> None:
    story = Story()
    story.see(wanted=version("two", inputs="one"))
    story.see(wanted=version("two", inputs="other"), engine=Progress())
    assert story.image == "two"


@pytest.mark.parametrize("engine", [FAILED, Progress()], ids=["failed", "starting"])
def test_an_engine_that_never_served_takes_another_release(engine: Progress) -> None:
    sight = Sight(NOW, RolloutSpec(), version("two", inputs="one"), engine)
    record = decide(Record(current=version("one"), since=NOW), sight)
    assert record.current == version("two", inputs="one")


def test_one_that_replaces_another_takes_it_only_where_it_fails() -> None:
    story = Story(automaticRollback=False)
    story.see(wanted=version("two"), engine=Progress())
    assert (story.see(wanted=version("three", inputs="two")).phase, story.image) == (Phase.UPDATE_PENDING, "two")
    story.see(engine=FAILED)
    assert story.image == "three"


def test_another_name_needs_a_strategy_without_a_candidate() -> None:
    story = Story(strategy="BlueGreen")
    status = story.see(wanted=version("two", model="org/other"))
    assert (status.phase, story.record.trial, story.image) == (Phase.PAUSED, None, "one")
    assert "set spec.model.name to 'org/model'" in status.message
    story.settings["strategy"] = "RollingUpdate"
    story.see()
    assert story.image == "two"


def test_what_changes_without_a_restart_is_no_roll_out() -> None:
    story = Story(strategy="Canary")
    adapters = {"name": "engine", "model": "org/model", "adapters": [{"name": "a", "path": "/a"}]}
    other = version("one").model_copy(update={"inputs": "more", "upstream": adapters})
    assert story.see(wanted=other).phase is Phase.COMPLETE
    assert story.record.current == other


def test_a_candidate_goes_while_the_service_is_suspended_and_begins_anew() -> None:
    story = judged()
    status = story.see(suspended=True)
    assert (status.phase, story.record.trial, story.image) == (Phase.PROGRESSING, None, "one")
    story.see(suspended=False, candidate=Progress())
    assert story.stage is Stage.STARTING


def test_no_step_ends_while_no_orchestrator_is_heard() -> None:
    story = judged()
    assert story.see(after=timedelta(hours=1), heard=False).step == 1
    assert story.see(heard=True).step == 2
