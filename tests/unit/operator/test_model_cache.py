"""Models that are fetched into a claim: the Job, what its engine mounts, and who waits for what."""

from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.component import FETCHED, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import Images, Platform, build
from tandem_operator.manifests.engine.model_cache import with_cached
from tandem_operator.rollout import steps

CLAIM: dict[str, Any] = {"claim": {"size": "200Gi"}}
SHARED: dict[str, Any] = {"claimName": "models"}
WIDE: dict[str, Any] = {"claim": {"size": "200Gi", "accessModes": ["ReadWriteMany"]}}
PLATFORM = Platform()
TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
DEPLOYMENT = Reference("Deployment", "demo-engine")


def service(cache: Any = SHARED, model: Any = (), engine: Any = (), name: str = "demo", **spec: Any) -> LLMService:
    source = {"source": "hf://org/model@v1", "cache": cache, **dict(model)}
    spec = {"model": source, "engine": {"gpus": 1, **dict(engine)}, **spec}
    return LLMService.model_validate({"metadata": {"name": name, "namespace": "ns"}, "spec": spec})


def objects(subject: LLMService, platform: Platform = PLATFORM) -> dict[Reference, dict[str, Any]]:
    return {Reference(item["kind"], item["metadata"]["name"]): item for item in build(subject, platform)}


def job(subject: LLMService, platform: Platform = PLATFORM) -> dict[str, Any]:
    (found,) = [item for item in build(subject, platform) if item["kind"] == "Job"]
    return found


def pod(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = item["spec"]["template"]["spec"]
    return found


def container(item: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod(item)["containers"]
    return dict(found)


def ended(item: dict[str, Any], how: str) -> dict[str, Any]:
    told = {"type": how, "status": "True", "lastTransitionTime": "2026-11-21T12:00:00Z"}
    return {**item, "status": {"conditions": [told]}}


def test_the_job_fetches_the_model_and_nothing_else() -> None:
    made = job(service(engine={"image": "engine:1"}), Platform(images=Images(operator="operator:2")))
    fetch = container(made)
    assert made["metadata"]["name"].startswith("demo-engine-fetch-")
    assert (fetch["name"], fetch["image"]) == ("fetch", "operator:2")
    assert fetch["args"] == ["fetch", "hf://org/model@v1", "--store=/store", "--progress-port=8080"]
    assert fetch["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    assert "nvidia.com/gpu" not in str(fetch["resources"])
    assert {"name": "store", "mountPath": "/store"} in fetch["volumeMounts"]
    assert {"name": "store", "persistentVolumeClaim": {"claimName": "models"}} in pod(made)["volumes"]
    assert pod(made)["restartPolicy"] == "Never"
    assert pod(made)["serviceAccountName"] == "default"
    assert pod(made)["automountServiceAccountToken"] is False
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert (labels["tandem.dev/llmservice"], labels["tandem.dev/tier"]) == ("demo", "fetch")


def test_what_does_not_get_better_is_not_tried_again_at_once_and_a_drained_node_is_no_failure() -> None:
    lasting, drained = job(service())["spec"]["podFailurePolicy"]["rules"]
    assert lasting["action"] == "FailJob"
    assert lasting["onExitCodes"] == {"containerName": "fetch", "operator": "In", "values": [3]}
    assert drained == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_a_named_file_is_fetched_alone_and_loaded() -> None:
    subject = service(model={"source": "hf://org/model", "file": "q4/model.gguf"}, engine={"type": "llamacpp"})
    assert container(job(subject))["args"][-1] == "--file=q4/model.gguf"
    arguments = container(objects(subject)[DEPLOYMENT])["args"]
    path = arguments[arguments.index("--model") + 1]
    assert path.startswith("/models/models/org--model/main@@")
    assert path.endswith("/q4/model.gguf")


def test_the_job_reaches_the_hub_as_the_engine_would_and_as_who_may() -> None:
    env = [
        {"name": "HF_ENDPOINT", "value": "https://mirror.example"},
        {"name": "https_proxy", "value": "http://proxy:3128"},
        {"name": "HF_HUB_OFFLINE", "value": "1"},
        {"name": "VLLM_LOGGING_LEVEL", "value": "DEBUG"},
    ]
    found = container(job(service(model={"credentials": {"secretName": "hub"}}, engine={"env": env})))["env"]
    values = {each["name"]: each.get("value", each.get("valueFrom")) for each in found}
    assert values["HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "HF_TOKEN", "optional": False}}
    assert (values["HF_ENDPOINT"], values["https_proxy"]) == ("https://mirror.example", "http://proxy:3128")
    assert not values.keys() & {"HF_HUB_OFFLINE", "VLLM_LOGGING_LEVEL"}


def test_a_variable_is_there_once_though_credentials_and_engine_have_it() -> None:
    env = [{"name": "HF_TOKEN", "value": "hf_mine"}]
    found = container(job(service(model={"credentials": {"secretName": "hub"}}, engine={"env": env})))["env"]
    assert [each for each in found if each["name"] == "HF_TOKEN"] == env


def test_the_job_goes_where_the_engine_can_as_both_mount_the_volume() -> None:
    engine = {"nodeSelector": {"pool": "a"}, "tolerations": [{"key": "mine", "operator": "Exists"}]}
    made = pod(job(service(engine=engine)))
    assert made["nodeSelector"] == {"pool": "a"}
    assert [each["key"] for each in made["tolerations"]] == [TAINT["key"], "mine"]
    assert made["tolerations"][0] == TAINT
    assert "tolerations" not in pod(job(service(engine={"gpus": 0, "accelerator": "cpu"})))


def test_a_claim_is_made_or_named() -> None:
    made = objects(service(CLAIM))[Reference("PersistentVolumeClaim", "demo-engine-models")]
    assert made["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "200Gi"}}}
    classed = service({"claim": {"size": "1Gi", "accessModes": ["ReadWriteMany"], "storageClassName": "nfs"}})
    spec = objects(classed)[Reference("PersistentVolumeClaim", "demo-engine-models")]["spec"]
    assert (spec["accessModes"], spec["storageClassName"]) == (["ReadWriteMany"], "nfs")
    assert [name for kind, name in objects(service(SHARED)) if kind == "PersistentVolumeClaim"] == []


@pytest.mark.parametrize(("cache", "claim"), [(CLAIM, "demo-engine-models"), (SHARED, "models")])
def test_the_engine_mounts_the_claim_and_asks_the_hub_for_nothing(cache: Any, claim: str) -> None:
    engine = objects(service(cache, {"credentials": {"secretName": "hub"}}))[DEPLOYMENT]
    volume = {"name": "model", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    assert volume in pod(engine)["volumes"]
    assert {"name": "model", "mountPath": "/models", "readOnly": True} in container(engine)["volumeMounts"]
    assert container(engine)["args"][0] == "/models/models/org--model/v1"
    assert "--served-model-name=org/model" in container(engine)["args"]
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in container(engine)["env"]
    assert "HF_TOKEN" not in {each["name"] for each in container(engine)["env"]}
    assert engine["metadata"]["annotations"][FETCHED] == f"hf://org/model@v1 {claim}/models/org--model/v1"


def test_two_services_that_name_the_same_claim_and_revision_share_the_files() -> None:
    other = service(name="other")
    paths = {
        container(item)["args"][0]
        for subject in (service(), other)
        for (kind, name), item in objects(subject).items()
        if kind == "Deployment" and name.endswith("-engine")
    }
    assert paths == {"/models/models/org--model/v1"}
    assert job(service())["metadata"]["name"] != job(other)["metadata"]["name"]


def test_models_of_other_engines_are_cached_as_well() -> None:
    additional = {"small": {"model": {"source": "hf://org/small", "cache": SHARED}, "gpus": 1}}
    embedding = {"model": {"source": "hf://org/vectors", "cache": SHARED}, "accelerator": "cpu"}
    found = objects(service(additionalEngines=additional, embeddingEngine=embedding))
    args = [container(item)["args"][1] for (kind, _), item in found.items() if kind == "Job"]
    assert args == ["hf://org/model@v1", "hf://org/vectors", "hf://org/small"]
    for tier, name in (("small", "org--small"), ("embedding", "org--vectors")):
        assert f"/models/models/{name}/main" in str(container(found[Reference("Deployment", f"demo-{tier}")])["args"])


def test_with_cached_changes_where_files_are_and_not_what_clients_write() -> None:
    subject = with_cached(service(model={"credentials": {"secretName": "hub"}}))
    model = subject.spec.model
    assert (model.source, model.served_name) == ("pvc://models/models/org--model/v1", "org/model")
    assert model.credentials is None


def arguments(subject: LLMService, *named: str) -> tuple[str, list[str]]:
    step = steps(subject, PLATFORM, {}, named).fetches["engine"]
    return step.job["metadata"]["name"], container(step.job)["args"]


def test_models_that_others_name_are_kept_and_change_nothing_of_which_job_it_is() -> None:
    subject = service(SHARED | {"eviction": "WhenFull"})
    alone, args = arguments(subject)
    assert args[4:] == ["--evict"]
    among_others, args = arguments(subject, "hf://org/z", "hf://org/a@v2", "pvc://claim", "ollama://x", "hf://../..")
    assert args[4:] == ["--evict", "--keep=hf://org/a@v2", "--keep=hf://org/z"]
    assert alone == among_others == job(subject)["metadata"]["name"]
    assert "--evict" not in arguments(service(), "hf://org/a")[1], "Never is the default"


def test_an_engine_waits_until_its_job_has_succeeded() -> None:
    subject = service()
    made = job(subject)
    where = Reference("Job", made["metadata"]["name"])
    assert steps(subject, PLATFORM, {}).waiting == {DEPLOYMENT}
    for live in (made, ended(made, "Failed")):
        assert steps(subject, PLATFORM, {where: live}).waiting == {DEPLOYMENT}
    done = steps(subject, PLATFORM, {where: ended(made, "Complete")})
    assert (done.waiting, done.fetches) == (frozenset(), {})


@pytest.mark.parametrize(
    "changed",
    [
        {"model": {"source": "hf://org/model@v2"}},
        {"model": {"source": "hf://org/model", "file": "m.gguf"}, "engine": {"type": "llamacpp"}},
        {"cache": {"claimName": "others"}},
    ],
)
def test_another_model_or_claim_is_fetched_before_anything_changes(changed: Any) -> None:
    before = objects(service())
    found = steps(service(**changed), PLATFORM, before)
    config = Reference("ConfigMap", "demo-orchestrator")
    assert found.waiting == {DEPLOYMENT, Reference("Deployment", "demo-orchestrator"), config}


@pytest.mark.parametrize(
    "same",
    [
        {"engine": {"extraArgs": ["--seed=7"]}},
        {"engine": {"env": [{"name": "HF_ENDPOINT", "value": "https://mirror.example"}]}},
        {"engine": {"nodeSelector": {"pool": "b"}}},
        {"cache": SHARED | {"eviction": "WhenFull"}},
        {"model": {"credentials": {"secretName": "other"}}},
    ],
)
def test_what_was_fetched_is_not_fetched_again_for_other_reasons(same: Any) -> None:
    before = {DEPLOYMENT: objects(service())[DEPLOYMENT]}  # and no Job, which was cleaned up
    assert not steps(service(**same), PLATFORM, before).fetches


def test_another_release_of_the_operator_fetches_nothing_again() -> None:
    before = {DEPLOYMENT: objects(service())[DEPLOYMENT]}
    newer = Platform(images=Images(operator="operator:9"))
    assert job(service(), newer)["metadata"]["name"] != job(service())["metadata"]["name"]
    assert not steps(service(), newer, before).fetches


def test_an_engine_at_rest_has_not_what_it_waits_for_and_keeps_all_else() -> None:
    subject = service(suspend=True)
    engine = objects(subject)[DEPLOYMENT]
    engine["metadata"]["annotations"]["tandem.dev/sizing"] = "{}"
    assert steps(subject, PLATFORM, {}).at_rest(engine)["metadata"]["annotations"] == {"tandem.dev/sizing": "{}"}


def test_a_job_that_failed_is_another_once_it_is_reached_otherwise() -> None:
    mirror = {"env": [{"name": "HF_ENDPOINT", "value": "https://mirror.example"}]}
    assert job(service(engine=mirror))["metadata"]["name"] != job(service())["metadata"]["name"]


def test_the_secret_that_opens_the_model_is_what_the_step_needs() -> None:
    found = steps(service(model={"credentials": {"secretName": "hub"}}), PLATFORM, {})
    assert found.fetches["engine"].secrets == {"hub": frozenset()}
    assert steps(service(), PLATFORM, {}).fetches["engine"].secrets == {}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another source": ({"model": {"source": "pvc://claim"}}, "model.cache is for a model.source of hf://"),
    "adapters of the hub": (
        {"model": {"adapters": [{"name": "a", "source": "hf://org/a"}]}},
        "model.cache is for a model.source of hf:// whose adapters are in pvc:// or oci://",
    ),
    "a draft of the hub": (
        {
            "engine": {
                "speculativeDecoding": {"method": "draft-model", "tokens": 4, "model": {"source": "hf://org/draft"}}
            }
        },
        "must be pvc:// or oci:// beside model.cache",
    ),
    "two pods on a volume of one node": (
        {"cache": CLAIM, "engine": {"replicas": 2}},
        "model.cache.claim.accessModes must have ReadWriteMany",
    ),
    "neither claim": ({"cache": {}}, "model.cache takes one of claim and claimName"),
    "both claims": ({"cache": CLAIM | SHARED}, "model.cache takes one of claim and claimName"),
    "one file, which is not named": (
        {"model": {"source": "hf://org/model"}, "engine": {"type": "llamacpp"}},
        "model.file must name the GGUF file in a pvc:// or oci:// source or in a cache",
    ),
}


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_cache_is_not_for_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        service(**fields)
    assert message in str(refusal.value)


def test_a_cache_is_for_several_pods_where_its_volume_is() -> None:
    for cache in (WIDE, SHARED):
        assert service(cache, engine={"replicas": 2}).spec.model.cache


def test_engines_elsewhere_have_no_cache() -> None:
    external = {"type": "external", "external": {"url": "http://there/v1"}}
    with pytest.raises(ValidationError, match=r"model\.cache is for"):
        LLMService.model_validate(
            {"metadata": {"name": "demo"}, "spec": {"model": {"name": "m", "cache": SHARED}, "engine": external}}
        )
