"""`spec.embeddingEngine`: a second engine, with what it shares with the first and what it has for itself."""

from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tandem_operator import status
from tandem_operator.api.allowance import Allowance, excess, named_secrets
from tandem_operator.api.component import SERVICE_MONITOR_API, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.status import LLMServiceStatus
from tandem_operator.documents import problems
from tandem_operator.manifests import Platform, build
from tandem_operator.status import Observed, Problem

Json = dict[str, Any]
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
MINILM: Json = {"model": {"source": "hf://org/minilm", "name": "minilm"}}
SQLITE: Json = {"state": {"sqlite": {}}, "replicas": {"min": 1, "max": 1}}
HOSTED = {"name": "hosted", "url": "http://hosted", "model": "large"}
FOUND_OUT = {"name": "found-out", "url": "http://found-out"}


def service(embedding: Json | None = MINILM, *, name: str = "demo", before: Any = None, **spec: Any) -> LLMService:
    said = {"embeddingEngine": embedding} if embedding else {}
    return LLMService.model_validate(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": "u"},
            "spec": {"model": {"source": "hf://org/model"}, **said, **spec},
            "status": before or {},
        }
    )


def children(of: LLMService) -> dict[Reference, Json]:
    made = build(of, Platform(frozenset({SERVICE_MONITOR_API})))
    return {Reference(item["kind"], item["metadata"]["name"]): item for item in made}


def pod(of: LLMService, tier: str = "embedding") -> Json:
    made: Json = children(of)[Reference("Deployment", f"demo-{tier}")]["spec"]["template"]["spec"]
    return made


def settings(of: LLMService) -> Json:
    text = children(of)[Reference("ConfigMap", "demo-orchestrator")]["data"]["config.yaml"]
    read: Json = yaml.safe_load(text)
    return read


class TestObjects:
    def test_it_has_what_the_first_engine_has_and_nothing_else_changes_for_that(self) -> None:
        without, made = children(service(None)), children(service())
        added = {kind for kind, name in made.keys() - without.keys()}
        assert sorted((kind, name.removeprefix("demo-embedding")) for kind, name in made.keys() - without.keys()) == [
            ("Deployment", ""),
            ("NetworkPolicy", ""),
            ("PodDisruptionBudget", ""),
            ("Service", ""),
            ("Service", "-pods"),
            ("ServiceAccount", ""),
            ("ServiceMonitor", ""),
        ]
        of_the_first = {kind for kind, name in without if name.startswith("demo-engine")}
        assert of_the_first - added == {"Secret"}, "both have one key"
        assert {ref: made[ref] for ref in without if ref.kind != "ConfigMap"} == {
            ref: item for ref, item in without.items() if ref.kind != "ConfigMap"
        }

    def test_it_is_told_to_make_vectors_and_not_to_call_tools(self) -> None:
        (container,) = pod(service({**MINILM, "extraArgs": ["--max-model-len=512"]}))["containers"]
        assert container["name"] == "embedding"
        assert container["args"][:3] == ["org/minilm", "--served-model-name=minilm", "--runner=pooling"]
        assert container["args"][-1] == "--max-model-len=512"
        assert not [argument for argument in container["args"] if "tool" in argument]
        (first,) = pod(service(), "engine")["containers"]
        assert not [argument for argument in first["args"] if argument.startswith("--runner")]

    def test_it_runs_without_an_accelerator_unless_it_is_given_one(self) -> None:
        (container,) = pod(service())["containers"]
        assert "vllm-openai-cpu" in container["image"]
        assert container["resources"] == {"requests": {"cpu": "1", "memory": "4Gi"}}
        with_one = pod(
            service({**MINILM, "accelerator": "amd.com/gpu", "securityContext": {"supplementalGroups": [44]}})
        )
        assert with_one["containers"][0]["resources"]["limits"] == {"amd.com/gpu": "1"}
        assert with_one["tolerations"] == [{"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
        assert with_one["securityContext"]["supplementalGroups"] == [44]

    @pytest.mark.parametrize(
        ("model", "has"),
        [
            ({"source": "pvc://models/minilm"}, {"persistentVolumeClaim": {"claimName": "models", "readOnly": True}}),
            (
                {"source": "oci://host/minilm:1"},
                {"image": {"reference": "host/minilm:1", "pullPolicy": "IfNotPresent"}},
            ),
        ],
        ids=["claim", "image"],
    )
    def test_its_model_comes_from_where_its_own_source_says(self, model: Json, has: Json) -> None:
        made = service({"model": model})
        (volume,) = [volume for volume in pod(made)["volumes"] if volume["name"] == "model"]
        assert volume == {"name": "model", **has}
        assert not [volume for volume in pod(made, "engine")["volumes"] if volume["name"] == "model"]

    def test_its_key_is_the_engines_and_its_model_s_secret_its_own(self) -> None:
        made = service({"model": {"source": "hf://org/minilm", "credentials": {"secretName": "hub"}}})
        (container,) = pod(made)["containers"]
        secrets = {
            item["name"]: item["valueFrom"]["secretKeyRef"]["name"]
            for item in container["env"]
            if "secretKeyRef" in item.get("valueFrom", {})
        }
        assert secrets == {"VLLM_API_KEY": "demo-engine-key", "HF_TOKEN": "hub"}
        assert named_secrets(made) == {"hub": "spec.embeddingEngine.model.credentials"}

    def test_orchestrators_and_pods_that_read_documents_reach_it_and_nobody_else(self) -> None:
        readers = {"state": {"postgres": {"urlFrom": {"secretName": "app"}}}, "files": {"claimName": "shared"}}
        workers = {"workers": {"replicas": {"min": 1, "max": 1}}}
        made = children(service(orchestrator={**readers, "retrieval": workers}))
        (rule,) = made[Reference("NetworkPolicy", "demo-embedding")]["spec"]["ingress"]
        tiers = [
            each["podSelector"]["matchLabels"]["tandem.dev/tier"] for each in rule["from"] if "podSelector" in each
        ]
        assert tiers == ["orchestrator", "ingestion"]
        assert [each for each in rule["from"] if "podSelector" not in each] == [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
        ]
        open_one = children(service(networking={"networkPolicy": {"enabled": False}}))
        assert Reference("NetworkPolicy", "demo-embedding") not in open_one

    def test_it_rests_with_the_service(self) -> None:
        replicas = {
            suspend: children(service({**MINILM, "replicas": 2}, suspend=suspend))[
                Reference("Deployment", "demo-embedding")
            ]["spec"]["replicas"]
            for suspend in (False, True)
        }
        assert replicas == {False: 2, True: 0}


class TestConfiguration:
    def test_it_is_an_upstream_behind_the_first_engine(self) -> None:
        read = settings(service(orchestrator={"config": {"upstreams": [HOSTED]}}))
        assert [(each["name"], each["url"], each["model"]) for each in read["upstreams"]] == [
            ("engine", "http://demo-engine-pods:8000", "org/model"),
            ("embedding", "http://demo-embedding-pods:8000", "minilm"),
            ("hosted", "http://hosted", "large"),
        ]
        assert read["upstreams"][1]["apiKeyFile"] == read["upstreams"][0]["apiKeyFile"]

    @pytest.mark.parametrize(
        ("orchestrator", "embedding"),
        [
            (SQLITE, {"model": "minilm"}),
            ({**SQLITE, "retrieval": {"embedding": {"queryPrompt": "q: "}}}, {"model": "minilm", "queryPrompt": "q: "}),
            ({**SQLITE, "retrieval": {"embedding": {"path": "/static"}}}, {"path": "/static"}),
            ({**SQLITE, "retrieval": {"embedding": {"model": "org/model"}}}, {"model": "org/model"}),
            ({}, None),
        ],
        ids=["nothing is said", "prompts", "another in the orchestrator", "another model", "no files"],
    )
    def test_vector_stores_use_its_model_where_no_other_is_named(self, orchestrator: Json, embedding: Any) -> None:
        read = settings(service(orchestrator=orchestrator))
        assert read.get("retrieval", {}).get("embedding") == embedding

    def test_without_it_stores_are_searched_by_words_as_before(self) -> None:
        assert "retrieval" not in settings(service(None, orchestrator=SQLITE))

    @pytest.mark.parametrize(
        ("model", "config"),
        [
            ("chat", {"models": [{"name": "org/model", "aliases": ["chat"]}]}),
            ("anything", {"upstreams": [FOUND_OUT]}),
            ("large", {"upstreams": [HOSTED]}),
        ],
        ids=["alias", "an engine that lists its own", "upstream"],
    )
    def test_a_model_that_some_engine_may_have_is_taken(self, model: str, config: Json) -> None:
        made = service(orchestrator={**SQLITE, "retrieval": {"embedding": {"model": model}}, "config": config})
        assert settings(made)["retrieval"]["embedding"]["model"] == model


REFUSED: dict[str, tuple[Json, str]] = {
    "no model": ({"embedding": {"accelerator": "cpu"}}, "spec.embeddingEngine.model: Field required"),
    "the model of both": (
        {"embedding": {"model": {"source": "hf://org/model"}}},
        "embeddingEngine.model: 'org/model' is what clients call spec.model already",
    ),
    "the upstream's name": (
        {"orchestrator": {"config": {"upstreams": [{**HOSTED, "name": "embedding"}]}}},
        "its own (upstreams.0 is engine and upstreams.1 is embedding, which the service runs itself)",
    ),
    "a model that nobody has": (
        {"orchestrator": {**SQLITE, "retrieval": {"embedding": {"model": "minilmm"}}}},
        "orchestrator.retrieval.embedding.model: no engine has the model 'minilmm'; name one of 'org/model', 'minilm'",
    ),
    "no image": ({"embedding": {**MINILM, "accelerator": "example.com/npu"}}, "embeddingEngine.image is needed"),
    "GPUs without any": ({"embedding": {**MINILM, "gpus": 1}}, "embeddingEngine.gpus must be at least 1"),
    "an owned option": ({"embedding": {**MINILM, "extraArgs": ["--api-key=x"]}}, "embeddingEngine.extraArgs must not"),
    "an owned variable": (
        {"embedding": {**MINILM, "env": [{"name": "VLLM_API_KEY", "value": "x"}]}},
        "embeddingEngine.env must not set",
    ),
    "tools": ({"embedding": {**MINILM, "toolCalling": {}}}, "spec.embeddingEngine.toolCalling: Extra inputs"),
    "a name too long for its Service": ({"name": "a" * 49}, "metadata.name must have at most 48 characters"),
}


@pytest.mark.parametrize(("spec", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused(spec: Json, says: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        service(**spec)
    (line,) = problems(refusal.value)
    assert says in line


def test_the_longest_name_fits() -> None:
    names = {name for _, name in children(service(name="a" * 48))}
    assert max(map(len, names)) == 63
    assert service(None, name="a" * 50)


def test_what_the_platform_does_not_allow_is_refused_here_too() -> None:
    asked = {
        "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
        "podLabels": {"team": "x"},
        "priorityClassName": "urgent",
    }
    lines = excess(service({**MINILM, **asked}), Allowance(pod_labels=(), priority_class_names=()), None)
    assert [line.partition(":")[0] for line in lines] == [
        "spec.embeddingEngine.tolerations.0",
        "spec.embeddingEngine.podLabels",
        "spec.embeddingEngine.priorityClassName",
    ]


def deployment(tier: str, ready: int = 1) -> tuple[Reference, Json]:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), ready)
    return Reference("Deployment", f"demo-{tier}"), {"metadata": {"name": f"demo-{tier}"}, "status": counts}


def live(tier: str, **container: Any) -> Json:
    told = {
        "name": tier,
        "restartCount": 0,
        "ready": False,
        "state": {"running": {"startedAt": "2026-11-21T11:00:00Z"}},
    }
    labels = {"tandem.dev/tier": tier}
    return {
        "metadata": {"name": f"demo-{tier}-0", "labels": labels},
        "status": {"containerStatuses": [{**told, **container}]},
    }


ENGINE_POD, EMBEDDING_POD = live("engine", ready=True), live("embedding", ready=True)
OTHERS = [deployment("engine"), deployment("orchestrator", 2)]
NO_MODEL = {
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1, "message": "RepositoryNotFoundError: 401 Client Error"}},
}


def compute(of: LLMService, ready: int, *pods: Json, **observed: Any) -> LLMServiceStatus:
    seen = dict([*OTHERS, deployment("embedding", ready)])
    return status.compute(of, Observed(NOW, seen, [ENGINE_POD, *pods], **observed))


def told(computed: LLMServiceStatus) -> dict[str, tuple[str, str]]:
    return {str(each.type): (str(each.status), each.reason) for each in computed.conditions}


class TestStatus:
    def test_it_is_told_of_where_there_is_one(self) -> None:
        computed = compute(service(), 1, EMBEDDING_POD, degraded=[])
        assert told(computed)["EmbeddingReady"] == ("True", "Serving")
        assert told(computed)["Degraded"] == ("False", "PartsUsable")
        assert computed.embedding is not None
        assert computed.embedding.ready_replicas == 1
        without = compute(service(None), 1)
        assert "EmbeddingReady" not in told(without)
        assert without.embedding is None

    def test_accelerators_of_both_engines_are_counted(self) -> None:
        gpu = {**MINILM, "accelerator": "nvidia.com/gpu", "replicas": 3}
        assert compute(service(gpu, engine={"gpus": 4}), 3).gpus == 7
        assert compute(service(gpu, suspend=True), 0).gpus == 0

    def test_chat_goes_on_without_it_and_says_so(self) -> None:
        computed = compute(service(), 0, live("embedding", **NO_MODEL), degraded=["upstream embedding: away"])
        assert told(computed)["Ready"] == ("True", "Serving")
        assert told(computed)["Stalled"][0] == "False"
        assert told(computed)["EmbeddingReady"] == ("False", "ModelUnavailable")
        assert told(computed)["Degraded"] == ("True", "EmbeddingAway")
        (degraded,) = [each.message for each in computed.conditions if each.type == "Degraded"]
        assert degraded.startswith(
            "chat goes on, but no pod of demo-embedding makes vectors of texts: demo-embedding-0"
        )

    def test_a_service_that_does_not_serve_is_not_degraded_by_it_as_well(self) -> None:
        seen = dict([deployment("engine", 0), deployment("orchestrator", 2), deployment("embedding", 0)])
        computed = status.compute(service(), Observed(NOW, seen, degraded=[]))
        assert told(computed)["Ready"][0] == told(computed)["EmbeddingReady"][0] == "False"
        assert told(computed)["Degraded"] == ("False", "PartsUsable")

    def test_what_orchestrators_say_of_it_is_told_by_its_own_condition(self) -> None:
        said = ["upstream embedding: no address"]
        assert told(compute(service(), 1, EMBEDDING_POD, degraded=said))["Degraded"] == ("False", "PartsUsable")
        theirs = service(None, orchestrator={"config": {"upstreams": [{**HOSTED, "name": "embedding"}]}})
        assert told(compute(theirs, 1, degraded=said))["Degraded"] == ("True", "PartsUnusable")

    def test_what_it_lacks_is_not_held_against_the_first_engine(self) -> None:
        refused = Problem("Deployment", "demo-embedding", "Refused", "no")
        computed = compute(service(), 1, EMBEDDING_POD, problems=[refused])
        assert told(computed)["EngineReady"] == ("True", "Serving")
        assert told(computed)["OrchestratorReady"] == ("True", "Serving")
        assert told(computed)["EmbeddingReady"] == ("False", "Refused")

    def test_a_name_that_is_taken_keeps_all_from_being_written_and_so_is_told_by_ready(self) -> None:
        taken = Problem("Service", "demo-embedding", status.NAME_TAKEN, "exists")
        computed = compute(service(), 1, EMBEDDING_POD, problems=[taken])
        assert [told(computed)[kind] for kind in ("Ready", "Stalled")] == [
            ("False", "NameTaken"),
            ("True", "NameTaken"),
        ]

    @pytest.mark.parametrize(
        ("embedding", "sick", "says"),
        [
            (
                {**MINILM, "startupTimeout": "1m"},
                {
                    "started": False,
                    "lastState": {
                        "terminated": {
                            "exitCode": 137,
                            "startedAt": "2026-11-21T11:58:00Z",
                            "finishedAt": "2026-11-21T11:59:00Z",
                        }
                    },
                },
                "not ready within 60 s; raise spec.embeddingEngine.startupTimeout",
            ),
            (
                {"model": {"source": "oci://host/minilm:1"}},
                {"state": {"waiting": {"reason": "ErrImagePull", "message": 'failed to pull "host/minilm:1": denied'}}},
                "check spec.embeddingEngine.model.source and spec.embeddingEngine.model.credentials",
            ),
        ],
        ids=["slow", "image"],
    )
    def test_the_remedy_names_its_own_fields(self, embedding: Json, sick: Json, says: str) -> None:
        computed = compute(service(embedding), 0, live("embedding", **sick))
        (message,) = [each.message for each in computed.conditions if each.type == "EmbeddingReady"]
        assert says in message

    def test_that_it_is_away_is_forgotten_once_it_is_there_even_if_no_orchestrator_is_heard(self) -> None:
        before = status.written(compute(service(), 0))
        assert "EmbeddingAway" in str(before)
        assert "Degraded" not in told(compute(service(before=before), 1, EMBEDDING_POD))

    def test_its_coming_and_going_are_events(self) -> None:
        there, away = compute(service(), 1, EMBEDDING_POD), compute(service(), 0, live("embedding", **NO_MODEL))
        gone = {(each.reason, each.warning) for each in status.changes({"status": status.written(there)}, away)}
        assert gone == {("ModelUnavailable", True), ("EmbeddingAway", False)}
        back = {(each.reason, each.warning) for each in status.changes({"status": status.written(away)}, there)}
        assert back == {("EmbeddingReady", False)}
