"""What StoresReady tells, and what a migration that is awaited means for Ready."""

from types import SimpleNamespace
from typing import Any

import pytest
from tandem_contract.config import Keys as KeySettings
from tandem_operator.api.component import Reference
from tandem_operator.api.status import ConditionType
from tandem_operator.status import FIELDS_CONTESTED, Observed, Problem, waiting_claim, waits_for_mounts
from tandem_operator.status.stores import BUDGETS_PROBLEM, DATABASE_PROBLEM, REDIS_PROBLEM
from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.limits.upkeep import Upkeep

from tests.unit.operator.test_status import (
    NOW,
    READY_POD,
    SERVING,
    at,
    compute,
    conditions,
    deployment,
    message,
    pod,
    service,
    unscheduled,
)

Json = dict[str, Any]
Children = dict[Reference, Json]
SECRET = {"secretName": "state-app", "secretKey": "uri"}
SQLITE = service(orchestrator={"replicas": {"min": 1, "max": 1}, "state": {"sqlite": {}}})
REDIS = {"redis": {"url": "redis://redis:6379/0"}}
POSTGRES = service(orchestrator={"state": {"postgres": {"urlFrom": SECRET}}, "config": REDIS})
ONLY_REDIS = service(orchestrator={"config": REDIS})
BUCKET = {"s3": {"bucket": "b", "accessKeyId": SECRET, "secretAccessKey": {**SECRET, "secretName": "bucket"}}}
FILES = service(orchestrator={"state": {"postgres": {"urlFrom": SECRET}}, "files": BUCKET})
SHARED = {"claim": {"size": "1Gi", "accessModes": ["ReadWriteMany"]}}
ON_A_VOLUME = service(orchestrator={"state": {"postgres": {"urlFrom": SECRET}}, "files": SHARED})
CLAIM = Reference("PersistentVolumeClaim", "demo-orchestrator")
JOB = Reference("Job", "demo-migrate-1")
THERE = {"state-app": frozenset({"uri"})}


def stores(of: Any, children: Any = None, **observed: Any) -> tuple[str, str]:
    return conditions(compute(of, children, **observed))["StoresReady"]


def claim(phase: str) -> Children:
    return {CLAIM: {"metadata": {"name": CLAIM.name}, "status": {"phase": phase}}}


def job(*ends: str, attempt: str = "0") -> Children:
    happened = [{"type": end, "status": "True", "message": "backoff limit", "lastTransitionTime": at()} for end in ends]
    metadata = {"name": JOB.name, "annotations": {"tandem.dev/attempt": attempt}}
    return {JOB: {"metadata": metadata, "status": {"conditions": happened}}}


def job_pod(name: str = "a", state: Any = None, of: str = JOB.name, **pod_status: Any) -> Json:
    labels = {"tandem.dev/tier": "migration", "batch.kubernetes.io/job-name": of}
    statuses = [{"name": "migration", "restartCount": 0, "ready": False, "state": state or {}}]
    metadata = {"name": f"{of}-{name}", "labels": labels, "creationTimestamp": at(minutes=1)}
    return {"metadata": metadata, "status": {"containerStatuses": statuses, **pod_status}}


def died(said: str = "", **end: Any) -> Json:
    return {"terminated": {"exitCode": 1, "reason": "Error", "message": said, "finishedAt": at(), **end}}


def test_nothing_is_told_where_there_is_no_store() -> None:
    assert "StoresReady" not in conditions(compute())
    assert "StoresReady" not in conditions(compute(service(orchestrator={"config": {"database": {"poolSize": 3}}})))


def test_stores_are_ready_by_the_word_of_those_that_use_them() -> None:
    bound = {**SERVING, **claim("Bound")}
    assert stores(ONLY_REDIS) == ("Unknown", "NotHeard")
    assert stores(ONLY_REDIS, degraded=[]) == ("True", "StoresUsable")
    assert stores(SQLITE, bound, degraded=["keys: none"]) == ("True", "StoresUsable")


@pytest.mark.parametrize(
    ("of", "line", "reason"),
    [
        (POSTGRES, "database: OSError: no route", "DatabaseUnusable"),
        (POSTGRES, "token budgets: the database cannot be used", "DatabaseUnusable"),
        (POSTGRES, "limits across replicas: TimeoutError", "RedisUnusable"),
        (ONLY_REDIS, "limits across replicas: TimeoutError", "RedisUnusable"),
        (ONLY_REDIS, "token budgets: TimeoutError", "RedisUnusable"),
        (FILES, "files: the bucket b does not exist", "FilesUnusable"),
        (SQLITE, "files: no space left", "FilesUnusable"),
    ],
)
def test_a_store_that_cannot_be_used_is_named_and_leaves_ready_alone(of: Any, line: str, reason: str) -> None:
    computed = compute(of, degraded=[line, line, "tool x: absent"])
    assert conditions(computed)["StoresReady"] == ("False", reason)
    assert message(computed, "StoresReady") == f"orchestrators cannot use it and go on without: {line}"
    assert conditions(computed)["Ready"] == ("True", "Serving")
    assert conditions(computed)["Degraded"][0] == "True"


def test_vector_stores_of_another_embedding_model_are_told_with_what_to_do() -> None:
    line = "retrieval: 3 vector stores were made with minilm-v1 and are not searchable with minilm-v2; reindex them"
    computed = compute(FILES, degraded=[line])
    assert conditions(computed)["StoresReady"] == ("False", "VectorStoresUnusable")
    assert message(computed, "StoresReady") == line
    assert conditions(computed)["Ready"] == ("True", "Serving")


def test_what_orchestrators_cannot_do_is_told_and_nothing_is_amiss() -> None:
    line = "pdf files are not read: tandem-orchestrator[documents] is not installed (pypdfium2 is missing)"
    computed = compute(FILES, degraded=[], limitations=[line, line])
    assert conditions(computed)["StoresReady"] == ("True", "StoresUsable")
    assert message(computed, "StoresReady") == f"orchestrators find nothing amiss with their stores; {line}"
    assert conditions(computed)["Degraded"] == ("False", "PartsUsable")
    assert "pdf" not in message(compute(POSTGRES, degraded=[], limitations=[line]), "StoresReady"), "it has no files"


def test_nothing_is_told_of_files_where_there_are_none() -> None:
    assert stores(POSTGRES, degraded=["files: nowhere", "retrieval: nothing"]) == ("True", "StoresUsable")


def test_the_claim_of_files_is_told_as_that_of_the_database() -> None:
    made: Json = {"metadata": {"name": "demo-files"}, "status": {"phase": "Pending"}}
    children = {**SERVING, Reference("PersistentVolumeClaim", "demo-files"): made}
    assert waiting_claim(ON_A_VOLUME, Observed(NOW, children)) is made
    computed = compute(ON_A_VOLUME, children, degraded=[])
    assert conditions(computed)["StoresReady"] == ("False", "ClaimPending")
    assert "PersistentVolumeClaim demo-files, which keeps the files, is not bound" in message(computed, "StoresReady")
    assert stores(FILES, children, degraded=[]) == ("True", "StoresUsable"), "it is left over, and not used"


def test_a_bucket_s_secret_is_looked_for() -> None:
    computed = compute(FILES, {}, pods=(), secrets=THERE)
    assert conditions(computed)["StoresReady"] == ("False", "SecretMissing")
    assert "the Secret bucket, which spec.orchestrator.files names" in message(computed, "StoresReady")


def test_the_pods_own_words_are_masked() -> None:
    told = message(compute(POSTGRES, degraded=["database: postgresql://me:hunter2@db failed"]), "StoresReady")
    assert "postgresql://me:***@db failed" in told


def test_what_was_heard_last_counts_until_something_else_is_heard() -> None:
    heard = compute(POSTGRES, degraded=["database: down"])
    former = {"conditions": [condition.model_dump(by_alias=True) for condition in heard.conditions]}
    again = POSTGRES.model_copy(update={"status": former})
    assert stores(again) == ("False", "DatabaseUnusable")
    assert message(compute(again), "StoresReady") == message(heard, "StoresReady")
    migrating = compute(POSTGRES, migration=JOB)
    former = {"conditions": [condition.model_dump(by_alias=True) for condition in migrating.conditions]}
    assert stores(POSTGRES.model_copy(update={"status": former})) == ("Unknown", "NotHeard"), "that is over"


def test_a_suspended_service_has_nothing_that_uses_its_stores() -> None:
    asleep = service(orchestrator={"config": REDIS}, suspend=True)
    assert stores(asleep) == ("False", "Suspended")


@pytest.mark.parametrize(
    ("phase", "event", "reason", "says"),
    [
        ("Pending", "ProvisioningFailed: no class x", "ClaimPending", "is not bound: ProvisioningFailed: no class x"),
        ("Pending", None, "ClaimPending", "kubectl describe pvc demo-orchestrator"),
        ("Lost", None, "ClaimLost", "has lost its volume"),
    ],
)
def test_a_claim_that_is_not_bound_tells_why(phase: str, event: str | None, reason: str, says: str) -> None:
    children = {**SERVING, **claim(phase)}
    assert waiting_claim(SQLITE, Observed(NOW, children)) is children[CLAIM]
    computed = compute(SQLITE, children, claim_event=event, degraded=[])
    assert conditions(computed)["StoresReady"] == ("False", reason)
    assert says in message(computed, "StoresReady")


def test_a_claim_that_is_bound_or_not_used_is_no_trouble() -> None:
    for of, phase in ((SQLITE, "Bound"), (POSTGRES, "Pending")):
        children = {**SERVING, **claim(phase)}
        assert waiting_claim(of, Observed(NOW, children)) is None
        assert stores(of, children, degraded=[]) == ("True", "StoresUsable")


def test_a_claim_that_is_refused_is_no_matter_of_ready_while_pods_serve() -> None:
    refused = Problem("PersistentVolumeClaim", "demo-orchestrator", "Refused", "it cannot shrink")
    computed = conditions(compute(SQLITE, {**SERVING, **claim("Bound")}, problems=[refused], degraded=[]))
    assert (computed["StoresReady"], computed["Ready"]) == (("False", "Refused"), ("True", "Serving"))


def test_a_claim_that_others_change_is_told_by_degraded() -> None:
    contested = Problem(
        "PersistentVolumeClaim", "demo-orchestrator", FIELDS_CONTESTED, "size comes back", degrades=True
    )
    computed = conditions(compute(SQLITE, {**SERVING, **claim("Bound")}, problems=[contested], degraded=[]))
    assert (computed["StoresReady"][0], computed["Degraded"]) == ("True", ("True", FIELDS_CONTESTED))


def test_a_pod_without_its_claim_does_not_blame_the_model() -> None:
    lost = pod("orchestrator", conditions=[unscheduled('persistentvolumeclaim "demo-orchestrator" not found')])
    children = {**SERVING, **dict([deployment("orchestrator", 0)])}
    computed = compute(SQLITE, children, pods=(READY_POD, lost))
    assert conditions(computed)["OrchestratorReady"] == ("False", "VolumeMissing")
    assert "spec.model" not in message(computed, "OrchestratorReady")
    assert conditions(computed)["ModelReady"][0] == "True"


def test_a_job_that_is_refused_keeps_ready_away() -> None:
    refused = Problem("Job", "demo-migrate-1", "Refused", "quota")
    computed = conditions(compute(POSTGRES, problems=[refused], migration=JOB))
    assert computed["StoresReady"] == computed["Ready"] == ("False", "Refused")


AWAITED: dict[str, tuple[Children, list[Json], str, str, bool]] = {
    "not made": ({}, [], "Migrating", "Job demo-migrate-1 migrates", False),
    "at work": (job(), [job_pod(state={"running": {"startedAt": at()}}, phase="Running")], "Migrating", "", False),
    "no image": (
        job(),
        [job_pod(state={"waiting": {"reason": "ErrImagePull", "message": "not found"}})],
        "ImagePullBackOff",
        "demo-migrate-1-a: not found",
        True,
    ),
    "a pod died, another follows": (job(), [job_pod(state=died("no"), phase="Failed")], "Migrating", "", False),
    "failed once": (
        job("FailureTarget", "Failed"),
        [job_pod("a", died("first")), job_pod("b", died("Traceback\nmy:hunter2@db refused")), job_pod("c", of="other")],
        "MigrationFailed",
        "could not migrate the database: my:***@db refused; pods go on as they are",
        False,
    ),
    "failed again": (job("Failed", attempt="1"), [], "MigrationFailed", ": backoff limit;", True),
    "out of memory": (
        job("Failed"),
        [job_pod(state=died(reason="OOMKilled", exitCode=137))],
        "MigrationFailed",
        ": OOMKilled, exit code 137;",
        False,
    ),
}


@pytest.mark.parametrize(("made", "pods", "reason", "says", "stalled"), AWAITED.values(), ids=AWAITED)
def test_a_migration_that_is_awaited_keeps_ready_away(
    made: Children, pods: list[Json], reason: str, says: str, *, stalled: bool
) -> None:
    computed = compute(POSTGRES, {**SERVING, **made}, pods=pods, migration=JOB, secrets=THERE, degraded=[])
    found = conditions(computed)
    for kind in ("StoresReady", "OrchestratorReady"):
        assert found[kind] == ("False", reason)
        assert says in message(computed, kind)
    assert found["Ready"][0] == "False"
    assert found["Stalled"][0] == ("True" if stalled else "False")
    assert found["EngineReady"] == ("True", "Serving")


@pytest.mark.parametrize(("there", "says"), [({}, "does not exist"), ({"state-app": frozenset()}, "has no key uri")])
def test_a_secret_without_which_no_migration_begins_is_named(there: Any, says: str) -> None:
    assert waits_for_mounts(POSTGRES, Observed(NOW, SERVING, migration=JOB))
    computed = compute(POSTGRES, migration=JOB, secrets=there)
    for kind in ("StoresReady", "Ready"):
        assert conditions(computed)[kind] == ("False", "SecretMissing")
        assert says in message(computed, kind)
        assert "which spec.orchestrator.state names" in message(computed, kind)


def test_a_secret_may_take_as_long_as_its_database() -> None:
    def stalled(**ago: float) -> str:
        former = [dict(since, lastTransitionTime=at(**ago)) for since in missing]
        waiting = POSTGRES.model_copy(update={"status": {"conditions": former}})
        return conditions(compute(waiting, migration=JOB, secrets={}))["Stalled"][0]

    first = compute(POSTGRES, migration=JOB, secrets={})
    assert conditions(first)["Stalled"][0] == "False"
    missing = [item.model_dump(by_alias=True) for item in first.conditions]
    assert (stalled(minutes=4), stalled(minutes=6)) == ("False", "True")


def test_a_secret_of_no_store_is_told_by_the_orchestrator_alone() -> None:
    keys = {"keys": {"files": [{"secretName": "team-keys", "secretKey": "keys.yaml"}]}}
    computed = conditions(compute(service(orchestrator={"config": {**REDIS, **keys}}), {}, pods=(), secrets={}))
    assert computed["StoresReady"] == ("Unknown", "NotHeard")


def test_the_condition_is_one_of_the_api() -> None:
    assert {kind for kind, _ in conditions(compute(POSTGRES)).items()} <= {*map(str, ConditionType)}


def test_orchestrators_say_it_in_these_words() -> None:
    down = SimpleNamespace(problem="down", problems=[])
    keys, limits = Keys.__new__(Keys), Upkeep.__new__(Upkeep)
    vars(keys).update(_settings=KeySettings(), _files=down, database=down)
    vars(limits).update(_sharing=down, _budgets=down)
    assert keys.problems == [f"{DATABASE_PROBLEM}down"]
    assert {*limits.problems} == {f"{BUDGETS_PROBLEM}down", f"{REDIS_PROBLEM}down"}
