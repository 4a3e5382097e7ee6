"""`spec.orchestrator.state`: what may be said, what pods get of it, and when they may start."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tandem_contract.config import OrchestratorConfig
from tandem_operator.api.allowance import Allowance, excess
from tandem_operator.api.component import ATTEMPT, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.documents import problems
from tandem_operator.manifests import Images, Platform, build
from tandem_operator.manifests.attempts import next_attempt
from tandem_operator.manifests.orchestrator import migration
from tandem_operator.rollout import Steps, steps

Json = dict[str, Any]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PLATFORM = Platform()
ONE = {"min": 1, "max": 1}
ADMIN = {"keys": {"admin": {"secretName": "admin", "secretKey": "key"}}}
POSTGRES = {"postgres": {"urlFrom": {"secretName": "state-app", "secretKey": "uri"}}}


def service(state: Json | None = None, name: str = "demo", *, suspend: bool = False, **orchestrator: Any) -> LLMService:
    tier = {**({} if state is None else {"state": state}), **orchestrator}
    spec = {"model": {"source": "hf://org/model"}, "orchestrator": tier, "suspend": suspend}
    return LLMService.model_validate({"metadata": {"name": name, "namespace": "ns"}, "spec": spec})


def child(of: LLMService, kind: str, name: str = "demo-orchestrator", platform: Platform = PLATFORM) -> Json:
    (found,) = [m for m in build(of, platform) if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return found


def job(of: LLMService, platform: Platform = PLATFORM) -> Json:
    (found,) = [m for m in build(of, platform) if m["kind"] == "Job"]
    return found


def settings(of: LLMService) -> OrchestratorConfig:
    return OrchestratorConfig.model_validate(yaml.safe_load(child(of, "ConfigMap")["data"]["config.yaml"]))


REFUSED: dict[str, tuple[Json, str]] = {
    "both": ({"state": {"sqlite": {}, **POSTGRES}, "replicas": ONE}, "needs either sqlite or postgres"),
    "neither": ({"state": {}}, "needs either sqlite or postgres"),
    "many writers": ({"state": {"sqlite": {}}}, "needs orchestrator.replicas {min: 1, max: 1}"),
    "an autoscaler": ({"state": {"sqlite": {}}, "replicas": {"min": 1, "max": 2}}, "needs orchestrator.replicas"),
    "no size": ({"state": {"sqlite": {"size": 0}}, "replicas": ONE}, "must be more than 0"),
    "no URL": ({"state": {"postgres": {}}}, "Field required"),
    "a file": ({"state": {"postgres": {"urlFrom": {"file": "/url"}}}}, "named by secretName"),
    "two databases": (
        {"state": POSTGRES, "config": {"database": {"url": "postgresql://db/x"}}},
        "leave url and urlFrom of orchestrator.config.database out",
    ),
    "two Secrets": (
        {"state": POSTGRES, "config": {"database": {"urlFrom": {"secretName": "other"}}}},
        "leave url and urlFrom of orchestrator.config.database out",
    ),
}


@pytest.mark.parametrize(("orchestrator", "says"), REFUSED.values(), ids=REFUSED)
def test_what_contradicts_itself_is_refused(orchestrator: Json, says: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        service(**orchestrator)
    (line,) = problems(refusal.value)
    assert line.startswith("spec.orchestrator")
    assert says in line


def test_without_state_each_pod_has_a_database_of_its_own() -> None:
    plain = service(config={"database": {"poolSize": 3}})
    assert settings(plain).database.url.get_secret_value() == "sqlite:////tmp/tandem.db"
    assert settings(plain).database.pool_size == 3
    assert {m["kind"] for m in build(plain, PLATFORM)}.isdisjoint({"Job", "PersistentVolumeClaim"})
    assert child(plain, "Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"


OTHER: Json = {"database": {"url": "postgresql://t@db/t"}}
KEEPING: dict[str, tuple[Json, bool]] = {
    "nothing lasts": ({}, False),
    "nothing lasts, asked for all the same": ({"config": {"responses": {"store": True}}}, True),
    "nothing lasts, another setting of responses": ({"config": {"responses": {"retentionDays": 1}}}, False),
    "PostgreSQL": ({"state": POSTGRES}, True),
    "a file": ({"state": {"sqlite": {}}, "replicas": ONE}, True),
    "a database of the configuration": ({"config": OTHER}, True),
    "a database, not asked for": ({"state": POSTGRES, "config": {"responses": {"store": False}}}, False),
}


@pytest.mark.parametrize(("orchestrator", "kept"), KEEPING.values(), ids=KEEPING)
def test_responses_are_kept_by_default_where_they_last(
    orchestrator: Json,
    kept: bool,  # noqa: FBT001 # a parameter of the test
) -> None:
    assert settings(service(**orchestrator)).responses.store is kept


def test_a_file_is_on_a_volume_that_one_pod_writes() -> None:
    single = service({"sqlite": {}}, replicas=ONE, config=ADMIN)
    spec = child(single, "Deployment")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    (volume,) = [volume for volume in spec["template"]["spec"]["volumes"] if "persistentVolumeClaim" in volume]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == volume["name"]]
    assert volume["persistentVolumeClaim"] == {"claimName": "demo-orchestrator"}
    assert settings(single).database.url.get_secret_value() == f"sqlite:///{mount['mountPath']}/tandem.db"
    assert not mount.get("readOnly")
    assert spec["strategy"] == {"type": "Recreate"}
    assert spec["template"]["spec"]["securityContext"]["fsGroup"] == 10001
    claim = child(single, "PersistentVolumeClaim")["spec"]
    assert claim == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def test_a_postgresql_is_known_by_a_mounted_secret() -> None:
    shared = service(POSTGRES, config={**ADMIN, "database": {"poolSize": 3}})
    database, path = settings(shared).database, "/etc/tandem/secrets/state-app"
    assert database.url_from
    assert (database.url_from.file, database.pool_size) == (f"{path}/uri", 3)
    for pod in (child(shared, "Deployment"), job(shared)):
        (container,) = pod["spec"]["template"]["spec"]["containers"]
        assert path in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert "admin" not in str(job(shared)["spec"]["template"]["spec"]["volumes"]), "it needs the database alone"


def test_the_secret_has_to_be_allowed() -> None:
    allowance = Allowance.model_validate({"secrets": {"names": ["llm-*"]}})
    (line,) = excess(service(POSTGRES), allowance, None)
    assert line.startswith("spec.orchestrator.state.postgres.urlFrom: Secret state-app is not allowed")


def test_no_service_sends_requests_to_a_pod_that_migrates() -> None:
    labels = job(service(POSTGRES))["spec"]["template"]["metadata"]["labels"].items()
    for manifest in build(service(POSTGRES), PLATFORM):
        selector = manifest.get("spec", {}).get("selector", {})
        selector = selector.get("matchLabels", selector)
        assert not selector or not selector.items() <= labels, manifest["metadata"]["name"]


@pytest.mark.parametrize("name", ["a", "x" * 50])
def test_a_job_has_a_name_that_its_pods_can_carry_as_a_label(name: str) -> None:
    assert len(job(service(POSTGRES, name))["metadata"]["name"]) <= 63


def test_another_image_or_database_is_another_job() -> None:
    name = job(service(POSTGRES))["metadata"]["name"]
    assert name == job(service(POSTGRES, config={"drainSeconds": 9}))["metadata"]["name"], "of no concern to it"
    other = {"postgres": {"urlFrom": {"secretName": "state-app", "secretKey": "url"}}}
    names = [
        name,
        job(service(other))["metadata"]["name"],
        job(service(POSTGRES, image="mine:2"))["metadata"]["name"],
        job(service(POSTGRES, config={"database": {"statementTimeoutSeconds": 60}}))["metadata"]["name"],
        job(service(POSTGRES), Platform(images=Images(orchestrator="ours:2")))["metadata"]["name"],
    ]
    assert len({*names}) == len(names)


def condition(kind: str, **ago: float) -> Json:
    return {"type": kind, "status": "True", "lastTransitionTime": (NOW - timedelta(**ago)).isoformat()}


def live(made: Json, *conditions: Json, **annotations: str) -> Json:
    marked = {f"tandem.dev/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {**made, "metadata": {**made["metadata"], "annotations": marked}, "status": {"conditions": [*conditions]}}


def awaited(of: LLMService, *children: Json) -> bool:
    found = {Reference(item["kind"], item["metadata"]["name"]): item for item in children}
    return migration.awaited(of, PLATFORM, found) is not None


def test_orchestrators_wait_until_their_database_is_migrated() -> None:
    shared = service(POSTGRES)
    made, deployment = job(shared), child(shared, "Deployment")
    older = child(service(POSTGRES, image="older"), "Deployment")
    assert awaited(shared)
    assert awaited(shared, older)
    assert awaited(shared, live(made), older)
    assert awaited(shared, live(made, condition("SuccessCriteriaMet")), older), "it is still at work"
    assert awaited(shared, live(made, condition("Failed")), older)
    assert not awaited(shared, live(made, condition("Complete")), older)
    assert not awaited(shared, deployment), "a Job that was cleaned up since is not missed"
    assert not awaited(service(), older), "there is no database"
    assert not awaited(service({"sqlite": {}}, replicas=ONE)), "the process migrates its file"


def test_a_deployment_at_rest_was_not_migrated() -> None:
    subject = service(POSTGRES, suspend=True)
    deployment = child(subject, "Deployment")
    first = steps(subject, PLATFORM, {})
    assert awaited(service(POSTGRES), first.at_rest(deployment))
    assert not awaited(service(POSTGRES), Steps().at_rest(deployment)), "it waited for something else"


def again(found: Json | None, secret: str = "7") -> str | None:
    made = next_attempt(job(service(POSTGRES)), found, secret, NOW)
    return made["metadata"]["annotations"][ATTEMPT] if made else None


def test_a_job_that_failed_is_made_again_after_ever_longer_pauses() -> None:
    made = job(service(POSTGRES))
    assert again(None) == "0"
    assert again(live(made, secret_version="7", attempt="0")) is None, "it is at work"
    for attempt, minutes in enumerate((1, 2, 4, 8, 16, 30, 30)):
        marks = {"secret_version": "7", "attempt": str(attempt)}
        assert again(live(made, condition("Failed", minutes=minutes - 0.1), **marks)) is None
        assert again(live(made, condition("Failed", minutes=minutes), **marks)) == str(attempt + 1)
    by_hand = live(made, condition("Failed", minutes=1), secret_version="7", attempt="x")
    assert again(by_hand) == "1"


def test_another_secret_is_tried_at_once() -> None:
    failed = live(job(service(POSTGRES)), condition("Failed", seconds=1), secret_version="7", attempt="3")
    assert again(failed, "7") is None
    assert again(failed, "8") == "0"
