"""`spec.orchestrator.files` and `.retrieval`: what may be said, and what pods get of it."""

from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tandem_contract.config import OrchestratorConfig
from tandem_operator.api.allowance import Allowance, excess
from tandem_operator.api.component import INGESTION_QUEUED_API, SERVICE_MONITOR_API
from tandem_operator.api.llmservice import LLMService, LLMServiceSpec
from tandem_operator.api.quantity import number
from tandem_operator.documents import problems
from tandem_operator.manifests import Images, Platform, build
from tandem_orchestrator.config import variables

Json = dict[str, Any]
MIB = 2**20
ONE = {"min": 1, "max": 1}
SECRET = {"secretName": "s", "secretKey": "k"}
SQLITE: Json = {"state": {"sqlite": {}}, "replicas": ONE}
POSTGRES: Json = {"state": {"postgres": {"urlFrom": {"secretName": "app", "secretKey": "uri"}}}}
CLAIM = {"claim": {"size": "20Gi"}}
SHARED = {"claim": {"size": "20Gi", "accessModes": ["ReadWriteMany"]}}
S3 = {"s3": {"bucket": "tandem"}}
WORKERS = {"workers": {"replicas": {"min": 1, "max": 5}}}


def service(**orchestrator: Any) -> LLMService:
    spec = {"model": {"source": "hf://org/model"}, "orchestrator": orchestrator}
    return LLMService.model_validate({"metadata": {"name": "demo", "namespace": "ns"}, "spec": spec})


def children(of: LLMService, kind: str) -> list[Json]:
    return [item for item in build(of, Platform()) if item["kind"] == kind]


def deployment(of: LLMService, tier: str = "orchestrator") -> Json:
    (found,) = [item for item in children(of, "Deployment") if item["metadata"]["name"] == f"demo-{tier}"]
    spec: Json = found["spec"]
    return spec


def container(of: LLMService, tier: str = "orchestrator") -> Json:
    (found,) = deployment(of, tier)["template"]["spec"]["containers"]
    made: Json = found
    return made


def settings(of: LLMService, tier: str = "orchestrator") -> OrchestratorConfig:
    """What a pod reads: its file, and the variables that win over it."""
    (written,) = children(of, "ConfigMap")
    document = yaml.safe_load(written["data"]["config.yaml"])
    told = {item["name"]: item["value"] for item in container(of, tier)["env"] if item["name"].startswith("TANDEM_")}
    assert variables.overlay(document, told) == []
    return OrchestratorConfig.model_validate(document)


def folders(of: LLMService) -> dict[str, str]:
    """Where each claim is mounted to be written."""
    pod = deployment(of)["template"]["spec"]
    claims = {it["name"]: it["persistentVolumeClaim"] for it in pod["volumes"] if "persistentVolumeClaim" in it}
    assert all(not claim.get("readOnly") for claim in claims.values())
    mounts = [mount for mount in container(of)["volumeMounts"] if mount["name"] in claims and "readOnly" not in mount]
    return {claims[mount["name"]]["claimName"]: mount["mountPath"] for mount in mounts}


REFUSED: dict[str, tuple[Json, str]] = {
    "two places": ({**POSTGRES, "files": {**SHARED, **S3}}, "takes one of claim, claimName and s3"),
    "two claims": ({**POSTGRES, "files": {**SHARED, "claimName": "mine"}}, "takes one of claim, claimName and s3"),
    "no place": ({**POSTGRES, "files": {"maxBytes": 1}}, "needs claim, claimName or s3"),
    "no database": ({"files": S3}, "needs a database in orchestrator.state"),
    "a volume of one pod": ({**POSTGRES, "files": CLAIM}, "needs accessModes [ReadWriteMany] for more than one pod"),
    "no room": ({**SQLITE, "files": {"claim": {"size": 0}}}, "size must be more than 0"),
    "no size": ({**SQLITE, "files": {"claim": {}}}, "Field required"),
    "no mode": ({**SQLITE, "files": {"claim": {"size": 1, "accessModes": []}}}, "at least 1 item"),
    "half a key": (
        {**POSTGRES, "files": {"s3": {"bucket": "b", "accessKeyId": SECRET}}},
        "set accessKeyId and secretAccessKey, or neither",
    ),
    "a key in a file": (
        {**POSTGRES, "files": {"s3": {"bucket": "b", "accessKeyId": {"file": "/a"}, "secretAccessKey": SECRET}}},
        "s3.accessKeyId: in an LLMService a secret is named by secretName",
    ),
    "documents, but no files": ({**POSTGRES, "retrieval": {}}, "orchestrator.retrieval needs orchestrator.files"),
    "a folder": ({**POSTGRES, "files": {"folder": "/tmp"}}, "Extra inputs are not permitted"),
    "files among the settings": ({**POSTGRES, "config": {"files": {}}}, "Extra inputs are not permitted"),
    "retrieval among the settings": ({**POSTGRES, "config": {"retrieval": {}}}, "Extra inputs are not permitted"),
    "two embeddings": ({**SQLITE, "retrieval": {"embedding": {"model": "m", "path": "/m"}}}, "set model or path"),
    "all overlap": ({**SQLITE, "retrieval": {"chunking": {"maxTokens": 500}}}, "overlapTokens must be at most half"),
    "more than the pod has": (
        {**SQLITE, "retrieval": {"ingestion": {"concurrency": 2, "maxMemoryBytes": 256 * MIB}}},
        "orchestrator.resources.limits.memory: reading 2 documents at a time in each process",
    ),
    "workers beside a file": ({**SQLITE, "retrieval": WORKERS}, "workers needs state.postgres"),
    "workers on a volume of one pod": (
        {**POSTGRES, "replicas": ONE, "files": CLAIM, "retrieval": WORKERS},
        "needs accessModes [ReadWriteMany] for more than one pod",
    ),
    "fewer workers than none": (
        {**POSTGRES, "files": S3, "retrieval": {"workers": {"replicas": {"min": 2, "max": 1}}}},
        "lower min or raise max",
    ),
    "workers that cannot be scaled": (
        {**POSTGRES, "files": S3, "replicas": ONE, "retrieval": WORKERS, "resources": {"requests": {"memory": "1Gi"}}},
        "orchestrator.resources.requests needs cpu",
    ),
    "no room beside many processes": (
        {**SQLITE, "files": {}, "config": {"server": {"workers": 3}}},
        "raise it, or lower concurrency or maxMemoryBytes",
    ),
}


@pytest.mark.parametrize(("orchestrator", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused(orchestrator: Json, says: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        service(**orchestrator)
    (line,) = problems(refusal.value)
    assert line.startswith("spec")
    assert says in line


FOLDERS: dict[str, tuple[Json, str | None, dict[str, str]]] = {
    "beside the database": (SQLITE, "/var/lib/tandem/files", {"demo-orchestrator": "/var/lib/tandem"}),
    "beside the database, with a quota": (
        {**SQLITE, "files": {"quota": {"files": 5}}},
        "/var/lib/tandem/files",
        {"demo-orchestrator": "/var/lib/tandem"},
    ),
    "on a volume of their own": (
        {**SQLITE, "files": CLAIM},
        "/var/lib/tandem-files",
        {"demo-orchestrator": "/var/lib/tandem", "demo-files": "/var/lib/tandem-files"},
    ),
    "on a volume of all pods": (
        {**POSTGRES, "files": SHARED},
        "/var/lib/tandem-files",
        {"demo-files": "/var/lib/tandem-files"},
    ),
    "on a volume that is there": (
        {**POSTGRES, "files": {"claimName": "mine"}},
        "/var/lib/tandem-files",
        {"mine": "/var/lib/tandem-files"},
    ),
    "in a bucket": ({**POSTGRES, "files": S3}, None, {}),
    "in a bucket, the database in a file": (
        {**SQLITE, "files": S3},
        None,
        {"demo-orchestrator": "/var/lib/tandem"},
    ),
    "nowhere": (POSTGRES, None, {}),
}


@pytest.mark.parametrize(("orchestrator", "folder", "mounted"), FOLDERS.values(), ids=FOLDERS)
def test_files_are_where_the_pod_has_a_volume(orchestrator: Json, folder: str | None, mounted: dict[str, str]) -> None:
    made = service(**orchestrator)
    assert settings(made).files.enabled
    assert settings(made).files.folder == folder
    assert folders(made) == mounted
    assert deployment(made)["template"]["spec"]["securityContext"]["fsGroup"] == 10001
    ours = {name for name in mounted if name != "mine"}
    assert {claim["metadata"]["name"] for claim in children(made, "PersistentVolumeClaim")} == ours


def test_pods_without_a_database_take_no_files() -> None:
    assert not settings(service()).files.enabled


def test_a_claim_is_what_was_asked_for() -> None:
    asked = {"claim": {"size": "20Gi", "storageClassName": "nfs", "accessModes": ["ReadWriteMany"]}}
    (claim,) = children(service(**POSTGRES, files=asked), "PersistentVolumeClaim")
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "resources": {"requests": {"storage": "20Gi"}},
        "storageClassName": "nfs",
    }
    (claim,) = children(service(**POSTGRES, files=CLAIM, replicas=ONE), "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


STRATEGIES: dict[str, tuple[Json, str]] = {
    "a database in a file": ({**SQLITE, "files": S3}, "Recreate"),
    "a volume of one node": ({**POSTGRES, "files": CLAIM, "replicas": ONE}, "Recreate"),
    "a volume that may be of one node": ({**POSTGRES, "files": {"claimName": "a"}, "replicas": ONE}, "Recreate"),
    "a volume that must be shared": ({**POSTGRES, "files": {"claimName": "a"}}, "RollingUpdate"),
    "a shared volume": ({**POSTGRES, "files": SHARED, "replicas": ONE}, "RollingUpdate"),
    "a bucket": ({**POSTGRES, "files": S3, "replicas": ONE}, "RollingUpdate"),
}


@pytest.mark.parametrize(("orchestrator", "strategy"), STRATEGIES.values(), ids=STRATEGIES)
def test_no_pod_waits_for_a_volume_that_its_predecessor_has(orchestrator: Json, strategy: str) -> None:
    assert deployment(service(**orchestrator))["strategy"]["type"] == strategy


def test_the_keys_of_a_bucket_are_mounted_and_have_to_be_allowed() -> None:
    keys = {"accessKeyId": {**SECRET, "secretKey": "id"}, "secretAccessKey": {**SECRET, "secretKey": "key"}}
    made = service(**POSTGRES, files={"s3": {"bucket": "tandem", **keys}})
    bucket = settings(made).files.s3
    assert bucket
    assert bucket.access_key_id
    assert bucket.access_key_id.file == "/etc/tandem/secrets/s/id"
    assert "/etc/tandem/secrets/s" in [mount["mountPath"] for mount in container(made)["volumeMounts"]]
    lines = excess(made, Allowance.model_validate({"secrets": {"names": ["app"]}}), None)
    assert [line.partition(":")[0] for line in lines] == ["spec.orchestrator.files.s3.accessKeyId"]


def test_what_is_said_of_files_and_retrieval_reaches_the_pods() -> None:
    files = {**SHARED, "maxBytes": 5, "retentionDays": 2, "quota": {"bytes": 7}}
    retrieval = {"embedding": {"model": "minilm"}, "chunking": {"maxTokens": 400, "overlapTokens": 50}}
    upstreams = [{"name": "embeddings", "url": "http://embeddings:8000", "model": "minilm"}]
    read = settings(service(**POSTGRES, files=files, retrieval=retrieval, config={"upstreams": upstreams}))
    assert (read.files.max_bytes, read.files.retention_days, read.files.quota.bytes) == (5, 2, 7)
    assert (read.retrieval.embedding.model, read.retrieval.chunking.overlap_tokens) == ("minilm", 50)


USUAL = 512 * MIB
READING: dict[str, tuple[Json, tuple[int, int]]] = {
    "the default limit": ({}, (1, 320 * MIB)),
    "more memory": ({"resources": {"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}}}, (2, 416 * MIB)),
    "plenty": ({"resources": {"limits": {"memory": "8Gi"}}}, (2, USUAL)),
    "no limit": ({"resources": {"requests": {"cpu": 1}}}, (2, USUAL)),
    "two processes": (
        {"resources": {"limits": {"memory": "1Gi"}}, "config": {"server": {"workers": 2}}},
        (1, 320 * MIB),
    ),
    "a process for each CPU": ({"resources": {"limits": {"memory": "1Gi", "cpu": 2}}}, (1, 320 * MIB)),
    "a model in the process": ({"retrieval": {"embedding": {"path": "/model"}}}, (1, 192 * MIB)),
    "so many": ({"retrieval": {"ingestion": {"concurrency": 4}}}, (4, 80 * MIB)),
    "so much": ({"retrieval": {"ingestion": {"maxMemoryBytes": 100 * MIB}}}, (2, 100 * MIB)),
    "none here": ({"retrieval": {"ingestion": {"concurrency": 0}}}, (0, USUAL)),
}


@pytest.mark.parametrize(("orchestrator", "read"), READING.values(), ids=READING)
def test_documents_that_are_read_fit_into_the_pod(orchestrator: Json, read: tuple[int, int]) -> None:
    made = service(**SQLITE, **orchestrator)
    config = settings(made)
    concurrency, memory = config.retrieval.ingestion.concurrency, config.retrieval.ingestion.max_memory_bytes
    assert (concurrency, memory) == read
    limit = container(made)["resources"].get("limits", {}).get("memory")
    if limit and concurrency:
        assert config.server.workers * (128 * MIB + concurrency * memory) < number(limit)


def test_a_volume_of_before_files_gives_none_where_no_document_would_fit() -> None:
    small = service(**SQLITE, resources={"limits": {"memory": "200Mi"}})
    assert not settings(small).files.enabled


def test_files_of_a_bucket_have_room_on_the_node_while_they_are_read() -> None:
    files = {**S3, "maxBytes": 3 * MIB}
    limits = {"limits": {"memory": "2Gi"}, "requests": {"cpu": 1}}
    two = service(**POSTGRES, files=files, resources=limits, config={"server": {"workers": 2}})
    assert number(container(two)["resources"]["requests"]["ephemeral-storage"]) == 2 * 2 * 3 * MIB
    assert "ephemeral-storage" not in container(service(**POSTGRES, files=SHARED))["resources"]["requests"]


def reading(**orchestrator: Any) -> LLMService:
    """A service with workers."""
    return service(**{**POSTGRES, "files": S3, "retrieval": WORKERS, **orchestrator})


def test_workers_read_documents_and_those_that_serve_do_not() -> None:
    made = reading(resources={"requests": {"cpu": 1}, "limits": {"memory": "1Gi"}})
    assert settings(made).retrieval.ingestion.concurrency == 0
    read = settings(made, "ingestion").retrieval.ingestion
    assert (read.concurrency, read.max_memory_bytes) == (2, 416 * MIB)
    written = reading(retrieval={**WORKERS, "ingestion": {"concurrency": 1}})
    assert settings(written).retrieval.ingestion.concurrency == 0, "what is written is meant for those that read"
    assert settings(written, "ingestion").retrieval.ingestion.concurrency == 1


def test_workers_are_pods_like_the_others_that_no_client_reaches() -> None:
    made = reading(podLabels={"team": "search"})
    ours, theirs = container(made), container(made, "ingestion")
    told_apart = ("name", "env", "resources")
    assert {name: value for name, value in ours.items() if name not in told_apart} == {
        name: value for name, value in theirs.items() if name not in told_apart
    }
    assert "ephemeral-storage" in theirs["resources"]["requests"]
    assert "ephemeral-storage" not in ours["resources"]["requests"]
    labels = deployment(made, "ingestion")["template"]["metadata"]["labels"].items()
    assert ("team", "search") in labels
    by_services = [item for item in children(made, "Service") if item["spec"]["selector"].items() <= labels]
    assert [item["metadata"]["name"] for item in by_services] == ["demo-ingestion"]
    assert [port["targetPort"] for port in by_services[0]["spec"]["ports"]] == ["metrics"]
    accounts = {item["metadata"]["name"] for item in children(made, "ServiceAccount")}
    assert deployment(made, "ingestion")["template"]["spec"]["serviceAccountName"] in accounts


def test_the_engine_admits_workers_for_its_embeddings() -> None:
    (policy,) = children(reading(), "NetworkPolicy")
    (rule,) = policy["spec"]["ingress"]
    admitted = [peer["podSelector"]["matchLabels"]["tandem.dev/tier"] for peer in rule["from"] if "podSelector" in peer]
    assert admitted == ["orchestrator", "ingestion"]


def scaler(of: LLMService, *capabilities: str, tier: str = "ingestion") -> Json | None:
    found = [
        item["spec"]
        for item in build(of, Platform(frozenset(capabilities)))
        if (item["kind"], item["metadata"]["name"]) == ("HorizontalPodAutoscaler", f"demo-{tier}")
    ]
    return found[0] if found else None


def test_workers_are_scaled_by_the_files_that_wait_where_that_is_told() -> None:
    by_cpu, by_queue = scaler(reading()), scaler(reading(), INGESTION_QUEUED_API)
    assert by_cpu
    assert by_queue
    assert (by_cpu["minReplicas"], by_cpu["maxReplicas"]) == (1, 5)
    assert by_cpu["scaleTargetRef"]["name"] == "demo-ingestion"
    assert [metric["type"] for metric in by_cpu["metrics"]] == ["Resource"]
    queue, cpu = by_queue["metrics"]
    assert cpu == by_cpu["metrics"][0]
    assert queue["external"]["metric"] == {
        "name": "tandem_ingestion_queued",
        "selector": {"matchLabels": {"service": "demo"}},
    }
    serving = scaler(reading(), INGESTION_QUEUED_API, tier="orchestrator")
    assert serving
    assert [metric["type"] for metric in serving["metrics"]] == ["Resource"], "it has no use for more"
    fixed = reading(retrieval={"workers": {"replicas": {"min": 2, "max": 2}}})
    assert scaler(fixed) is None
    assert deployment(fixed, "ingestion")["replicas"] == 2
    assert "replicas" not in deployment(reading(), "ingestion")


def test_workers_drain_and_are_watched_as_the_others() -> None:
    made = build(reading(), Platform(frozenset({SERVICE_MONITOR_API})))
    for kind in ("PodDisruptionBudget", "ServiceMonitor"):
        tiers = [item["metadata"]["labels"]["tandem.dev/tier"] for item in made if item["kind"] == kind]
        assert tiers == ["engine", "orchestrator", "ingestion"]


def test_workers_share_their_volume() -> None:
    made = reading(files={"claimName": "mine"}, replicas=ONE)
    assert deployment(made)["strategy"]["type"] == deployment(made, "ingestion")["strategy"]["type"] == "RollingUpdate"
    assert "mine" in str(deployment(made, "ingestion")["template"]["spec"]["volumes"])


def test_without_workers_there_is_no_trace_of_them() -> None:
    assert "ingestion" not in {item["metadata"]["labels"]["tandem.dev/tier"] for item in build(service(), Platform())}


class TestImage:
    def image(self, images: Images, **orchestrator: Any) -> str:
        spec = LLMServiceSpec.model_validate({"model": {"source": "hf://org/model"}, "orchestrator": orchestrator})
        return images.orchestrator_of(spec)

    def test_services_with_retrieval_have_the_one_that_reads_every_document(self) -> None:
        images = Images()
        assert self.image(images) == images.orchestrator
        assert self.image(images, **SQLITE, retrieval={}) == f"{images.orchestrator}-full"
        assert self.image(images, **SQLITE, retrieval={}, image="own:1") == "own:1"

    def test_an_engine_for_embeddings_is_retrieval_where_there_are_files(self) -> None:
        engine = {"model": {"source": "hf://org/minilm"}}
        spec = {"model": {"source": "hf://org/model"}, "embeddingEngine": engine}
        without, with_files = (LLMServiceSpec.model_validate({**spec, "orchestrator": each}) for each in ({}, SQLITE))
        assert Images().orchestrator_of(without) == Images().orchestrator
        assert Images().orchestrator_of(with_files) == Images().orchestrator_full

    def test_whoever_gives_one_orchestrator_has_it_everywhere(self) -> None:
        given = Images.from_environment({"TANDEM_ORCHESTRATOR_IMAGE": "own:1"})
        assert self.image(given, **SQLITE, retrieval={}) == "own:1"
        both = {"TANDEM_ORCHESTRATOR_IMAGE": "own:1", "TANDEM_ORCHESTRATOR_FULL_IMAGE": "own:1-full"}
        assert self.image(Images.from_environment(both), **SQLITE, retrieval={}) == "own:1-full"
