"""Roll-outs of the main engine on a real API server; pods and counts are told by hand, and so is that time goes on."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from tandem_operator.api.outcomes import Outcome
from tandem_operator.api.said import Said
from tandem_operator.api.tool_calling import Verification
from tandem_operator.kube.resources import CONFIG_MAP, LLM_SERVICE, POD, Object
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile
from tandem_operator.rollouts.record import KEY

from tests.integration.cluster import KilledError, Kubernetes, by_kind
from tests.integration.test_status_truth import container, scale

DEPLOYMENT = by_kind("Deployment")
RECORD = "demo-engine-rollout"
ONE, TWO = "one:1", "two:2"
BESIDE = {
    ("Deployment", "demo-engine-next"),
    ("NetworkPolicy", "demo-engine-next"),
    ("Service", "demo-engine-next-pods"),
}
VERIFIED = Verification("engine-next", "10.0.0.9:8000", verified=True, reason="Verified", message="")
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}


class World:
    """A service whose engine serves image one:1, and what its orchestrators say."""

    def __init__(self, kubernetes: Kubernetes, key: Key) -> None:
        self.kubernetes, self.key = kubernetes, key
        self.said: Said | None = Said()
        self.images = Images()
        self.cluster: Cluster

    async def look(self) -> list[str]:
        """Reconcile as an operator that has just started would, but for what it heard; return the writes."""
        self.cluster = Cluster(self.kubernetes, self.images)
        for item in await self.kubernetes.objects(self.key):
            self.cluster.store.put(item)
        if self.said is not None:
            self.cluster.said = {self.key: self.said}
        self.kubernetes.writes = []
        await reconcile(self.cluster, self.key)
        return self.kubernetes.writes

    async def settle(self) -> None:
        """Reconcile until nothing is left to do."""
        for _ in range(4):
            if not await self.look():
                return
        raise AssertionError(self.kubernetes.writes)

    async def edit(self, **spec: Any) -> None:
        await self.kubernetes.edit(LLM_SERVICE, self.key, self.key.name, {"spec": spec})
        await self.settle()

    async def live(self, tier: str = "engine") -> Object:
        found = await self.kubernetes.get(DEPLOYMENT, self.key.namespace, f"{self.key.name}-{tier}")
        assert found
        return found

    async def image(self, tier: str = "engine") -> str:
        return str((await self.live(tier))["spec"]["template"]["spec"]["containers"][0]["image"])

    async def serve(self, tier: str, address: str = "10.0.0.9") -> None:
        """Have a Deployment's one pod serve."""
        template = (await self.live(tier))["spec"]["template"]
        name = f"{self.key.name}-{tier}-{(await self.live(tier))['metadata']['generation']}"
        metadata = {"name": name, "namespace": self.key.namespace, "labels": template["metadata"]["labels"]}
        spec = {"containers": [{"name": tier, "image": "x"}], "serviceAccountName": f"{self.key.name}-engine"}
        await self.kubernetes.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
        running = container(tier, ready=True, state={"running": {"startedAt": "2026-11-21T12:00:00Z"}})
        status = {"podIP": address, "podIPs": [{"ip": address}], "containerStatuses": [running]}
        await self.kubernetes.edit(POD, self.key, name, {"status": status}, "status")
        await scale(self.kubernetes, self.key, tier, 1)
        await self.settle()

    async def fail(self, tier: str) -> None:
        """Have a Deployment's pods not become ready in time."""
        late = {**LATE, "lastUpdateTime": datetime.now(UTC).isoformat(timespec="seconds")}
        await scale(self.kubernetes, self.key, tier, 0, conditions=[late])
        await self.settle()

    async def wait(self, **time: float) -> None:
        """Let time go on, by having all that was noted of it happen earlier."""
        kept = await self.kubernetes.get(CONFIG_MAP, self.key.namespace, RECORD)
        assert kept
        record = json.loads(kept["data"][KEY])
        trial, back = record["trial"], timedelta(**time)
        trial["since"] = (datetime.fromisoformat(trial["since"]) - back).isoformat()
        await self.kubernetes.edit(CONFIG_MAP, self.key, RECORD, {"data": {KEY: json.dumps(record)}})
        await self.settle()

    async def told(self) -> Object:
        service = await self.kubernetes.get(LLM_SERVICE, *self.key)
        assert service
        told: Object = service["status"]["rollout"]
        condition = (await self.kubernetes.conditions(self.key))["RolledOut"]
        assert (condition["reason"], condition["message"]) == (told["phase"], told["message"])
        return told

    async def upstreams(self) -> list[Object]:
        found = await self.kubernetes.get(by_kind("ConfigMap"), self.key.namespace, "demo-orchestrator")
        assert found
        upstreams: list[Object] = yaml.safe_load(found["data"]["config.yaml"])["upstreams"]
        return upstreams

    async def names(self) -> set[tuple[str, str]]:
        objects = await self.kubernetes.objects(self.key)
        return {(item["kind"], item["metadata"]["name"]) for item in objects}


async def at_one(kubernetes: Kubernetes, namespace: str, **rollout: Any) -> World:
    """An engine that serves."""
    key = await kubernetes.serve(namespace, engine={"image": ONE}, rollout=rollout)
    world = World(kubernetes, key)
    await world.settle()
    await scale(kubernetes, key, "orchestrator", 2)
    await world.serve("engine", "10.0.0.1")
    assert (await world.told())["phase"] == "Complete"
    return world


async def tried(kubernetes: Kubernetes, namespace: str, **rollout: Any) -> World:
    """A candidate at its first step."""
    world = await at_one(kubernetes, namespace, strategy="Canary", **rollout)
    await world.edit(engine={"image": TWO})
    await world.serve("engine-next")
    world.said = Said(tool_calling=(VERIFIED,), outcomes=(outcome("engine", 1000), outcome("engine-next", 0)))
    await world.settle()
    assert (await world.told())["weight"] == 10
    return world


def outcome(upstream: str, requests: int, failures: int = 0, seconds: float = 1.0) -> Outcome:
    tokens = {"first_tokens": requests, "first_token_seconds": requests * seconds}
    return Outcome(pod="10.0.0.2", upstream=upstream, requests=requests, failures=failures, **tokens)


async def test_a_canary_goes_to_its_end(kubernetes: Kubernetes, namespace: str) -> None:
    world = await at_one(kubernetes, namespace, strategy="Canary")
    before = await world.live()
    await world.edit(engine={"image": TWO})
    assert (await world.image(), await world.image("engine-next")) == (ONE, TWO)
    assert await world.names() >= BESIDE
    candidate = await world.live("engine-next")
    assert candidate["spec"]["selector"]["matchLabels"]["tandem.dev/tier"] == "engine-next"
    assert before["spec"]["selector"]["matchLabels"]["tandem.dev/tier"] == "engine"
    assert world.cluster.tool_callers[world.key] == ["engine", "engine-next"]
    engine, beside = await world.upstreams()
    assert beside["url"] == "http://demo-engine-next-pods:8000"
    assert (beside["candidateOf"], beside["weight"], beside["model"]) == ("engine", 0, engine["model"])
    service = await kubernetes.get(LLM_SERVICE, *world.key)
    assert service
    assert service["status"]["gpus"] == 2
    await world.serve("engine-next")
    assert (await world.told())["message"].endswith("of 1 replicas 0 are known to call tools as they should")
    world.said = Said(tool_calling=(VERIFIED,))
    await world.settle()
    told = await world.told()
    assert (told["phase"], told["step"], told["weight"]) == ("Progressing", 1, 10)
    conditions = await kubernetes.conditions(world.key)
    assert conditions["Reconciling"]["reason"] == "Progressing"
    await world.wait(minutes=5)
    assert (await world.upstreams())[1]["weight"] == 50
    await world.wait(minutes=5)
    assert ((await world.told())["phase"], await world.image()) == ("Promoting", ONE)
    assert (await world.live())["metadata"]["generation"] == before["metadata"]["generation"], "it was never touched"
    await world.wait(minutes=2)
    assert (await world.image(), (await world.upstreams())[1]["weight"]) == (TWO, 100)
    await world.serve("engine", "10.0.0.1")
    assert (await world.upstreams())[1]["weight"] == 100, "it has to prove that it calls tools"
    world.said = Said(tool_calling=(VERIFIED, replace(VERIFIED, engine="engine", address="10.0.0.1:8000")))
    await world.settle()
    assert (await world.upstreams())[1]["weight"] == 0
    await world.wait(minutes=2)
    assert (await world.told())["phase"] == "Complete"
    assert not await world.names() & BESIDE
    assert [each["name"] for each in await world.upstreams()] == ["engine"]
    assert await world.look() == []


async def test_a_candidate_may_be_another_kind_of_engine(kubernetes: Kubernetes, namespace: str) -> None:
    world = await at_one(kubernetes, namespace, strategy="BlueGreen")
    await world.edit(engine={"type": "sglang", "image": TWO})
    engine, beside = await world.upstreams()
    assert (engine.get("type", "vllm"), beside["type"]) == ("vllm", "sglang")
    before, after = [
        (await world.live(tier))["spec"]["template"]["spec"]["containers"][0]["args"]
        for tier in ("engine", "engine-next")
    ]
    assert ("--enable-auto-tool-choice" in before, "--enable-auto-tool-choice" in after) == (True, False)
    await world.fail("engine-next")
    await gave_up(world, "demo-engine-next did not become ready in time")
    (engine,) = await world.upstreams()
    assert engine.get("type", "vllm") == "vllm"


async def test_an_operator_may_die_after_any_write_of_a_roll_out(kubernetes: Kubernetes, namespace: str) -> None:
    world = await at_one(kubernetes, namespace, strategy="Canary")
    await kubernetes.edit(LLM_SERVICE, world.key, "demo", {"spec": {"engine": {"image": TWO}}})
    for _ in range(20):
        kubernetes.die_after = 1
        try:
            if not await world.look():
                break
        except KilledError:
            continue
    kubernetes.die_after = None
    assert await world.look() == []
    assert (await world.image(), await world.image("engine-next")) == (ONE, TWO)
    assert await world.names() >= BESIDE
    assert (await world.told())["weight"] == 0


async def gave_up(world: World, because: str) -> None:
    """The candidate is gone, and nobody has touched the engine."""
    told = await world.told()
    assert told["phase"] == "RolledBack"
    assert because in told["message"]
    if told.get("weight") is not None:
        assert told["weight"] == 0
        await world.wait(minutes=2)
    assert not await world.names() & BESIDE
    assert await world.image() == ONE
    conditions = await world.kubernetes.conditions(world.key)
    assert (conditions["Ready"]["status"], conditions["Stalled"]["reason"]) == ("True", "RolledBack")
    assert await world.look() == []


async def test_a_candidate_that_is_never_ready_is_given_up(kubernetes: Kubernetes, namespace: str) -> None:
    world = await at_one(kubernetes, namespace, strategy="BlueGreen")
    await world.edit(engine={"image": TWO})
    await world.fail("engine-next")
    await gave_up(world, "demo-engine-next did not become ready in time")
    await world.edit(engine={"image": "three:3"})
    assert await world.image("engine-next") == "three:3"


async def test_a_candidate_that_calls_no_tools_is_given_up(kubernetes: Kubernetes, namespace: str) -> None:
    world = await at_one(kubernetes, namespace, strategy="BlueGreen")
    await world.edit(engine={"image": TWO})
    elsewhere = replace(VERIFIED, address="10.0.0.8:8000", verified=False, reason="ParserMismatch")
    world.said = Said(tool_calling=(elsewhere,))
    await world.serve("engine-next")
    assert (await world.told())["phase"] == "Progressing"
    world.said = Said(tool_calling=(replace(VERIFIED, verified=False, reason="NoToolCall", message="said nothing"),))
    await world.settle()
    await gave_up(world, "NoToolCall: said nothing")


async def test_a_candidate_that_fails_more_is_given_up(kubernetes: Kubernetes, namespace: str) -> None:
    world = await tried(kubernetes, namespace)
    world.said = Said(outcomes=(outcome("engine", 1100), outcome("engine-next", 40, failures=10)))
    await world.settle()
    await gave_up(world, "10 of the candidate's 40 requests failed, and 0 of 100")


async def test_a_candidate_that_is_slower_is_given_up(kubernetes: Kubernetes, namespace: str) -> None:
    world = await tried(kubernetes, namespace)
    world.said = Said(outcomes=(outcome("engine", 1100), outcome("engine-next", 40, seconds=2.5)))
    await world.settle()
    await gave_up(world, "2.50 s on average, and 1.00 s")


async def test_a_change_in_the_middle_begins_anew(kubernetes: Kubernetes, namespace: str) -> None:
    world = await tried(kubernetes, namespace)
    await world.edit(engine={"image": "three:3"})
    assert (await world.image(), await world.image("engine-next")) == (ONE, "three:3")
    assert (await world.told())["weight"] == 0


async def test_pause_and_undo(kubernetes: Kubernetes, namespace: str) -> None:
    world = await tried(kubernetes, namespace)
    await world.edit(rollout={"paused": True})
    await world.wait(hours=1)
    assert ((await world.told())["phase"], (await world.upstreams())[1]["weight"]) == ("Paused", 10)
    await world.edit(rollout={"paused": False, "undo": True})
    assert (await world.told())["phase"] == "Undone"
    await world.wait(minutes=2)
    assert not await world.names() & BESIDE
    assert ((await world.told())["phase"], await world.image()) == ("Undone", ONE)


async def test_pods_that_are_replaced_are_rolled_back(kubernetes: Kubernetes, namespace: str) -> None:
    world = await at_one(kubernetes, namespace)
    template = (await world.live())["spec"]["template"]
    await world.edit(engine={"image": TWO, "toolCalling": {"chatTemplate": "{{ messages }}"}})
    assert await world.image() == TWO
    await world.fail("engine")
    assert (await world.told())["phase"] == "RolledBack"
    assert (await world.live())["spec"]["template"] == template
    await scale(kubernetes, world.key, "engine", 1)
    await world.settle()
    assert ((await world.told())["phase"], await world.image()) == ("RolledBack", ONE)


async def test_an_undone_roll_out_is_done_again_when_undo_is_taken_back(kubernetes: Kubernetes, namespace: str) -> None:
    world = await at_one(kubernetes, namespace)
    await world.edit(engine={"image": TWO})
    await world.serve("engine")
    await world.edit(rollout={"undo": True})
    assert ((await world.told())["phase"], await world.image()) == ("Undone", ONE)
    await world.edit(rollout={"undo": False})
    assert ((await world.told())["phase"], await world.image()) == ("Progressing", TWO)


async def test_replaced_pods_stay_as_they_are_while_paused(kubernetes: Kubernetes, namespace: str) -> None:
    world = await at_one(kubernetes, namespace)
    await world.edit(engine={"image": TWO})
    await world.edit(rollout={"paused": True})
    assert ((await world.told())["phase"], (await world.live())["spec"]["paused"]) == ("Paused", True)
    await world.edit(rollout={"paused": False})
    assert "paused" not in (await world.live())["spec"]


async def test_another_release_restarts_nothing_until_it_may(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    world = World(kubernetes, key)
    await world.settle()
    await world.serve("engine")
    before = (await world.live())["metadata"]["generation"]
    world.images = Images(engine_nvidia=TWO)
    await world.settle()
    told = await world.told()
    assert told["phase"] == "UpdatePending"
    assert "spec.containers[engine].image" in told["message"]
    assert (await world.live())["metadata"]["generation"] == before
    await world.edit(rollout={"takeUpdates": True})
    assert await world.image() == TWO


async def test_an_engine_of_an_older_release_is_not_restarted(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(namespace)
    world = World(kubernetes, key)
    await world.settle()
    await world.serve("engine")
    record = await kubernetes.get(CONFIG_MAP, namespace, RECORD)
    assert record
    await kubernetes.delete(record)
    before = (await world.live())["spec"]["template"]
    world.images = Images(engine_nvidia=TWO)
    await world.settle()
    assert (await world.told())["phase"] == "UpdatePending"
    assert (await world.live())["spec"]["template"] == before
    await kubernetes.edit(DEPLOYMENT, key, "demo-engine", {"spec": {"template": {"spec": {"hostPID": True}}}})
    await world.settle()
    assert "hostPID" not in (await world.live())["spec"]["template"]["spec"], "what hands change is put right"
    await world.edit(engine={"maxModelLen": 4096})
    assert await world.image() == TWO


async def test_the_orchestrator_s_configuration_never_touches_the_engine(
    kubernetes: Kubernetes, namespace: str
) -> None:
    world = await at_one(kubernetes, namespace, strategy="Canary")
    before = (await world.live())["spec"]["template"]
    await world.edit(orchestrator={"config": {"drainSeconds": 77, "hold": {"seconds": 60}}})
    assert (await world.live())["spec"]["template"] == before
    assert not await world.names() & BESIDE
    await world.edit(engine={"replicas": 3})
    assert (await world.live())["spec"]["replicas"] == 3
    assert not await world.names() & BESIDE
