"""Which pods are taken to hang, when they are deleted, and what is told of them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tandem_contract.progress import Progress
from tandem_operator import hangs
from tandem_operator.api.hang import Hang
from tandem_operator.api.said import AtWork, Said
from tandem_operator.kube import events
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.orchestrators import Directory
from tandem_operator.kube.resources import Object
from tandem_operator.kube.store import Key, Store
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster
from tandem_operator.replacement import Replacement
from tandem_operator.status.tier import pod_hangs

from tests.unit.operator.test_policies import tier_view

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DEMO = Key("ns", "demo")
MOVES, STANDS, HANGS = Progress


def says(progress: Progress = HANGS, address: str = "10.0.0.7", seconds: int = 95) -> AtWork:
    return AtWork(address, progress, seconds)


def pod(name: str = "a", *addresses: str, tier: str = "engine", **metadata: Any) -> dict[str, Any]:
    labels = {"tandem.dev/llmservice": "demo", "tandem.dev/tier": tier}
    owner = {"kind": "ReplicaSet", "name": "set", "uid": "set", "controller": True}
    found = addresses or ("10.0.0.7",)
    made = {"name": name, "namespace": "ns", "uid": name, "resourceVersion": "1", "labels": labels}
    status = {"podIP": found[0], "podIPs": [{"ip": address} for address in found]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**made, "ownerReferences": [owner], **metadata},
        "status": status,
    }


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ([says()], True),
        ([says(), says(STANDS)], True),
        ([says(), says(HANGS)], True),
        ([says(), says(MOVES)], False),
        ([says(), says(MOVES, "10.0.0.8")], True),
        ([says(STANDS), says(STANDS)], False),
        ([says(address="10.0.0.8")], False),
        ([], False),
    ],
)
def test_one_orchestrator_is_enough_unless_another_has_seen_it_move(said: list[AtWork], *, found: bool) -> None:
    assert [each["metadata"]["name"] for each, _ in hangs.hanging(said, [pod()])] == ["a"] * found


def test_a_pod_is_known_by_each_of_its_addresses() -> None:
    assert hangs.hanging([says(address="fd00::7")], [pod("a", "10.0.0.7", "fd00:0::7")])
    assert not hangs.hanging([says()], [{**pod(), "status": {}}, pod("b", "nonsense")])


@pytest.mark.parametrize("tier", ["orchestrator", "ingestion"])
def test_only_engines_are_judged_by_orchestrators(tier: str) -> None:
    assert not hangs.hanging([says()], [pod(tier=tier)])
    assert hangs.hanging([says()], [pod(tier="small")])


def planned(*found: tuple[dict[str, Any], int], known: list[Hang] | None = None, last: Any = None) -> dict[str, Hang]:
    lasting = [(each, timedelta(seconds=seconds)) for each, seconds in found]
    return {hang.pod: hang for hang in hangs.planned(lasting, known or [], last or {}, NOW)}


def test_one_pod_of_a_component_at_a_time() -> None:
    found = planned((pod("a"), 120), (pod("b"), 95), (pod("c", tier="small"), 95))
    assert {name: hang.due - NOW for name, hang in found.items()} == {
        "a": timedelta(0),
        "b": hangs.PAUSE,
        "c": timedelta(0),
    }
    assert found["a"].since == NOW - timedelta(seconds=120)


def test_the_next_of_a_component_waits() -> None:
    lately, long_ago = NOW - timedelta(minutes=2), NOW - timedelta(minutes=6)
    assert planned((pod(), 95), last={"engine": lately})["a"].due == lately + hangs.PAUSE
    assert planned((pod(), 95), last={"engine": long_ago, "small": lately})["a"].due == NOW


def test_since_when_it_hangs_does_not_change_with_each_look() -> None:
    (first,) = planned((pod(), 95)).values()
    (again,) = planned((pod(), 107), known=[first]).values()
    assert again.since == first.since


def test_what_is_on_its_way_out_is_as_it_was() -> None:
    leaving = pod(deletionTimestamp="2026-11-21T12:00:00Z")
    (known,) = planned((pod(), 95)).values()
    assert planned((leaving, 105), known=[known]) == {"a": known}
    assert planned((leaving, 105)) == {}, "somebody else deletes it"


HANG = Hang("a", "demo-engine-a", "engine", NOW - timedelta(seconds=95), NOW)


@pytest.mark.parametrize(
    ("hang", "told"),
    [
        (HANG, "it is being replaced"),
        (replace(HANG, due=NOW + timedelta(minutes=3)), "it is replaced at 12:03:00 UTC, as another of its kind was"),
        (replace(HANG, problem="forbidden"), "it cannot be deleted: forbidden; kubectl delete pod demo-engine-a"),
    ],
)
def test_the_condition_says_what_is_done(hang: Hang, told: str) -> None:
    view = tier_view(deployment={"replicas": 1, "updatedReplicas": 1, "availableReplicas": 1})
    assert view.finding is None
    there = replace(view.observed, pods=[pod(deletionTimestamp="x")], hangs=[hang])
    finding = replace(view, observed=there).finding
    assert finding
    assert (finding.reason, finding.terminal) == ("Hung", False)
    assert finding.message.startswith("demo-engine-a hangs since 11:58:25 UTC: ")
    assert told in finding.message
    assert pod_hangs(replace(view, observed=replace(there, pods=[]))) is None, "it is gone"
    assert pod_hangs(replace(view, observed=replace(there, hangs=[replace(hang, tier="small")]))) is None


class ApiServer(Api):
    """An API server that notes what is deleted, and may refuse it."""

    def __init__(self) -> None:
        self.deleted: list[tuple[str, int | None]] = []
        self.told: list[str] = []
        self.refuses = False

    async def get(self, *_: Any) -> Object:
        owner = {"kind": "Deployment", "name": "demo-engine", "uid": "deployment", "controller": True}
        return {"metadata": {"uid": "set", "ownerReferences": [owner]}}

    async def delete(self, item: Mapping[str, Any], grace_seconds: int | None = None) -> None:
        if self.refuses:
            raise ApiError(403, "no right to delete pods")
        self.deleted.append((item["metadata"]["uid"], grace_seconds))

    async def create(self, manifest: Object) -> Object:
        self.told.append(f"{manifest['type']} {manifest['reason']}: {manifest['message']}")
        return manifest


def cluster(*pods: dict[str, Any]) -> tuple[ApiServer, Cluster, Replacement]:
    api, store = ApiServer(), Store()
    metadata = {"name": "demo", "namespace": "ns", "uid": "cr", "resourceVersion": "1"}
    owner = {"kind": "LLMService", "name": "demo", "uid": "cr", "controller": True}
    labels = {"tandem.dev/llmservice": "demo"}
    deployment = {**metadata, "name": "demo-engine", "uid": "deployment", "labels": labels, "ownerReferences": [owner]}
    store.put({"apiVersion": "tandem.dev/v1alpha1", "kind": "LLMService", "metadata": metadata})
    store.put({"kind": "Deployment", "metadata": deployment})
    for each in pods:
        store.put(each)
    known = Cluster(api, Images(), store=store)
    return api, known, Replacement(known, Directory(api, store))


async def test_a_pod_that_hangs_is_deleted_once_and_told_of() -> None:
    api, known, replacement = cluster(pod("demo-engine-a"), pod("demo-engine-b", "10.0.0.8"))
    assert await replacement.look(DEMO, Said(at_work=(says(), says(MOVES, "10.0.0.8"))))
    assert api.deleted == [("demo-engine-a", 10)]
    assert [hang.pod for hang in known.hangs[DEMO]] == ["demo-engine-a"]
    (event,) = api.told
    assert event.startswith("Warning EngineHung: demo-engine-a hangs since ")
    assert event.endswith("it was deleted, and is replaced")
    leaving = pod("demo-engine-a", deletionTimestamp="x", resourceVersion="2")
    known.store.put(leaving)
    assert not await replacement.look(DEMO, Said(at_work=(says(),)))
    assert not await replacement.look(DEMO, Said()), "nobody sees it any more, but it is there"
    known.store.drop(leaving)
    assert await replacement.look(DEMO, Said())
    assert known.hangs[DEMO] == ()
    known.store.put(pod("demo-engine-c"))
    assert await replacement.look(DEMO, Said(at_work=(says(),)))
    assert api.deleted == [("demo-engine-a", 10)], "the next one waits"
    (next_one,) = known.hangs[DEMO]
    assert next_one.due - datetime.now(UTC) > hangs.PAUSE - timedelta(minutes=1)


async def test_pods_of_others_are_left_alone() -> None:
    stranger = pod("stranger")
    stranger["metadata"]["ownerReferences"][0]["uid"] = "another"
    api, known, replacement = cluster(stranger, pod("of-none", ownerReferences=[]), pod("of-no-tier", tier="x"))
    assert not await replacement.look(DEMO, Said(at_work=(says(),)))
    assert not await replacement.look(Key("ns", "other"), Said(at_work=(says(),)))
    assert (api.deleted, known.hangs.get(DEMO)) == ([], ())


async def test_one_that_may_not_be_deleted_is_told_of_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    api, known, replacement = cluster(pod())
    api.refuses = True
    assert await replacement.look(DEMO, Said(at_work=(says(),)))
    assert [hang.problem for hang in known.hangs[DEMO]] == ["no right to delete pods"]
    assert api.told == []
    api.refuses = False

    async def fails(*_: Any, **__: Any) -> None:
        raise ApiError(403, "no right to post Events")

    monkeypatch.setattr(events, "post", fails)
    assert await replacement.look(DEMO, Said(at_work=(says(),)))
    assert api.deleted == [("a", 10)]
