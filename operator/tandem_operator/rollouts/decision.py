"""What becomes of a roll-out next: from what is known of it and what is seen now to what is known then.

Nothing else is remembered. Whoever asks twice with the same gets the same, so that an operator may end at any moment.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tandem_operator.api.component import CANDIDATE, Tier
from tandem_operator.api.outcomes import Outcome
from tandem_operator.api.rollout import RolloutSpec
from tandem_operator.rollouts.judgement import counted, counted_since, known, worse
from tandem_operator.rollouts.record import Record, Refused, Stage, Trial
from tandem_operator.rollouts.version import Version

SPREAD: Final = timedelta(seconds=120)
"""Until every orchestrator has a changed configuration: the kubelet renews mounted ConfigMaps within about 90 s."""
_ALL: Final = 100
_UNPROVEN: Final = frozenset({Stage.STARTING, Stage.JUDGED, Stage.FINAL})


@dataclass(frozen=True)
class Progress:
    """How far the pods of one Deployment are."""

    serves: bool = False
    """Whether all serve."""
    verified: bool = False
    """Whether they call tools as they should, if they are to."""
    waits: str = ""
    """What is waited for until then."""
    failure: str | None = None
    """Why they will not become ready."""

    @property
    def ready(self) -> bool:
        """Whether the former engine can go."""
        return self.serves and self.verified


@dataclass(frozen=True)
class Sight:
    """What is seen of an engine now."""

    now: datetime
    settings: RolloutSpec
    wanted: Version
    engine: Progress
    suspended: bool = False
    candidate: Progress = Progress()
    heard: bool = False
    """Whether orchestrators said how they are: without them nobody sends requests."""
    outcomes: tuple[Outcome, ...] = ()


def weight(record: Record, settings: RolloutSpec) -> int:
    """Return the percent of requests that the candidate is to get."""
    if record.trial is None:
        return 0
    match record.trial.stage:
        case Stage.JUDGED:
            return settings.trial[record.trial.step][0] if record.trial.step < len(settings.trial) else 0
        case Stage.FINAL | Stage.STANDING_IN:
            return _ALL
    return 0


def is_refused(record: Record, wanted: Version) -> bool:
    """Return whether a version has failed before; another template of the same spec was only tried as an update."""
    refused = record.refused
    if refused is None or refused.inputs != wanted.inputs:
        return False
    return wanted.inputs != record.current.inputs or wanted.mark == refused.mark


def is_pending(record: Record, sight: Sight) -> bool:
    """Return whether only this release of the operator renders another template, and the engine goes on without."""
    same = sight.wanted.inputs == record.current.inputs and sight.wanted.mark != record.current.mark
    costs_nothing = not record.served and (record.previous is None or sight.engine.failure is not None)
    return same and not sight.settings.take_updates and not costs_nothing


def is_renamed(record: Record, sight: Sight) -> bool:
    """Return whether clients would have to ask for another name while both engines serve."""
    return sight.settings.tries and record.served and sight.wanted.model != record.current.model


def is_held(record: Record, sight: Sight) -> bool:
    """Return whether what the spec says is not to be rolled out."""
    return is_refused(record, sight.wanted) or is_pending(record, sight) or is_renamed(record, sight)


def first_record(sight: Sight) -> Record:
    """Return the record of an engine that is made for the first time, which is no roll-out."""
    return Record(current=sight.wanted, since=sight.now)


def decide(record: Record, sight: Sight) -> Record:
    """Return what is to be so next."""
    record = _seen(record, sight)
    if sight.suspended:
        record = record.model_copy(update={"trial": None})
    if sight.settings.undo and not record.undone:
        record = _undone(record, sight)
    elif record.undone and not sight.settings.undo:
        record = record.model_copy(update={"undone": False})
    if sight.settings.paused and not sight.settings.undo:
        return _halted(record)
    if record.trial:
        return _tried(record, record.trial, sight)
    if _fails(record, sight):
        return _back(record, sight, sight.engine.failure or "")
    if record.undone or is_held(record, sight) or record.current.mark == sight.wanted.mark:
        return record
    if not (sight.settings.tries and record.served):
        return _applied(record, sight, sight.wanted)
    return record if sight.suspended else _with_trial(record, _begun(sight))


def _seen(record: Record, sight: Sight) -> Record:
    """Return the record with what needs no decision: that all serve, and what changes without a restart."""
    if sight.engine.serves and not record.served:
        record = record.model_copy(update={"served": True})
    if record.refused and record.refused.inputs != sight.wanted.inputs:
        record = record.model_copy(update={"refused": None})
    if record.current.mark == sight.wanted.mark and record.current != sight.wanted:
        record = record.model_copy(update={"current": sight.wanted})
    return record


def _fails(record: Record, sight: Sight) -> bool:
    new = not record.served and record.previous is not None
    return new and sight.settings.automatic_rollback and sight.engine.failure is not None


def _applied(record: Record, sight: Sight, version: Version) -> Record:
    """Return the record with a version that the Deployment is to get."""
    previous = record.current if record.served else record.previous
    return record.model_copy(
        update={"current": version, "since": sight.now, "served": False, "previous": previous, "refused": None}
    )


def _back(record: Record, sight: Sight, cause: str | None) -> Record:
    """Return the record with the version that served before, which has proved itself."""
    if record.previous is None:
        return record
    given_up, changes = record.current, {"current": record.previous, "previous": None, "since": sight.now}
    refused = Refused(inputs=given_up.inputs, mark=given_up.mark, cause=cause) if cause else record.refused
    return record.model_copy(update={**changes, "served": True, "refused": refused})


def _undone(record: Record, sight: Sight) -> Record:
    record = record.model_copy(update={"undone": True})
    if record.trial and record.trial.stage in _UNPROVEN:
        return _left(record, sight)
    rolled_out = record.current.mark == sight.wanted.mark or is_pending(record, sight)
    return _back(record, sight, None) if rolled_out else record


def _halted(record: Record) -> Record:
    if record.trial is None or record.trial.halted:
        return record
    return _with_trial(record, record.trial.model_copy(update={"halted": True}))


def _begun(sight: Sight) -> Trial:
    return Trial(version=sight.wanted, made=sight.now, since=sight.now)


def _with_trial(record: Record, trial: Trial | None) -> Record:
    return record.model_copy(update={"trial": trial})


def _moved(record: Record, trial: Trial, sight: Sight, stage: Stage, step: int = 0) -> Record:
    """Return the record with the candidate at another stage or step, which begins now."""
    changes = {"stage": stage, "step": step, "since": sight.now, "before": sight.outcomes, "halted": False}
    return _with_trial(record, trial.model_copy(update=changes))


def _left(record: Record, sight: Sight) -> Record:
    """Return the record without the candidate, at once where nobody sends it requests."""
    if record.trial is None or weight(record, sight.settings) == 0:
        return _with_trial(record, None)
    return _moved(record, record.trial, sight, Stage.LEAVING)


def _tried(record: Record, trial: Trial, sight: Sight) -> Record:
    """Return the record with the candidate where it is to be next."""
    if trial.halted:
        return _moved(record, trial, sight, trial.stage, trial.step)
    if trial.stage in _UNPROVEN and (otherwise := _given_up(record, trial, sight)):
        return otherwise
    return _NEXT[trial.stage](record, trial, sight)


def _given_up(record: Record, trial: Trial, sight: Sight) -> Record | None:
    """Return the record without this candidate, or with another; None where it stays."""
    if sight.wanted.mark == record.current.mark or is_held(record, sight) or not sight.settings.tries:
        return _left(record, sight)
    if trial.version.mark != sight.wanted.mark:
        return _with_trial(record, _begun(sight))
    cause = fault(record, trial, sight)
    if cause is None or not sight.settings.automatic_rollback:
        return None
    refused = Refused(inputs=trial.version.inputs, mark=trial.version.mark, cause=cause)
    return _left(record, sight).model_copy(update={"refused": refused})


def _starting(record: Record, trial: Trial, sight: Sight) -> Record:
    return _moved(record, trial, sight, Stage.JUDGED) if sight.candidate.ready and sight.heard else record


def _judged(record: Record, trial: Trial, sight: Sight) -> Record:
    """Return the record with the next step, once this one has had its time."""
    steps = sight.settings.trial
    if trial.step < len(steps) and _is_kept(record, trial, sight, timedelta(seconds=steps[trial.step][1])):
        before = known(trial.before, sight.outcomes)
        return _with_trial(record, trial.model_copy(update={"before": before}))
    if trial.step + 1 < len(steps):
        return _moved(record, trial, sight, Stage.JUDGED, trial.step + 1)
    return _moved(record, trial, sight, Stage.FINAL)


def _is_kept(record: Record, trial: Trial, sight: Sight, lasts: timedelta) -> bool:
    """Return whether a candidate stays at its step."""
    return sight.now - trial.since < lasts or not sight.heard or fault(record, trial, sight) is not None


def _final(record: Record, trial: Trial, sight: Sight) -> Record:
    if sight.now - trial.since < SPREAD:
        return record
    return _moved(_applied(record, sight, trial.version), trial, sight, Stage.STANDING_IN)


def _standing_in(record: Record, trial: Trial, sight: Sight) -> Record:
    if _fails(record, sight):
        return _back(record, sight, sight.engine.failure)
    return _moved(record, trial, sight, Stage.LEAVING) if sight.engine.ready else record


def _leaving(record: Record, trial: Trial, sight: Sight) -> Record:
    return record if sight.now - trial.since < SPREAD else _with_trial(record, None)


_NEXT: Final = {
    Stage.STARTING: _starting,
    Stage.JUDGED: _judged,
    Stage.FINAL: _final,
    Stage.STANDING_IN: _standing_in,
    Stage.LEAVING: _leaving,
}


def fault(record: Record, trial: Trial, sight: Sight) -> str | None:
    """Return what speaks against a candidate; None for nothing."""
    if sight.candidate.failure:
        return sight.candidate.failure
    if trial.stage is not Stage.JUDGED:
        return None
    candidate = counted_since(trial.before, sight.outcomes, CANDIDATE)
    everything = weight(record, sight.settings) == _ALL
    stable = (
        counted(trial.before, Tier.ENGINE)  # which has had no requests since
        if everything
        else counted_since(trial.before, sight.outcomes, Tier.ENGINE)
    )
    return worse(candidate, stable, sight.settings.thresholds)
