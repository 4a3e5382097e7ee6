"""`spec.additionalEngines` and engines of type external: what becomes of them, and what is told about them."""

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
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SMALL: Json = {"model": {"source": "hf://org/small", "name": "small"}, "accelerator": "cpu"}
VECTORS: Json = {"model": {"source": "hf://org/minilm"}, "task": "embed", "accelerator": "nvidia.com/gpu", "gpus": 2}
URL = "https://llm.example.com/v1"
PARTNER: Json = {"type": "external", "model": {"name": "large"}, "external": {"url": URL}}
ENGINES: Json = {"small": SMALL, "vectors": VECTORS, "partner": PARTNER}


def service(engines: Json | None = None, *, name: str = "demo", before: Any = None, **spec: Any) -> LLMService:
    said = {"additionalEngines": engines} if engines else {}
    return LLMService.model_validate(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": "u", "generation": 1},
            "spec": {"model": {"source": "hf://org/model"}, **said, **spec},
            "status": before or {},
        }
    )


def external(**engine: Any) -> LLMService:
    return service(model={"name": "large"}, engine={"type": "external", "external": {"url": URL, **engine}})


def children(of: LLMService) -> dict[Reference, Json]:
    made = build(of, Platform(frozenset({SERVICE_MONITOR_API})))
    return {Reference(item["kind"], item["metadata"]["name"]): item for item in made}


def settings(of: LLMService) -> Json:
    text = children(of)[Reference("ConfigMap", "demo-orchestrator")]["data"]["config.yaml"]
    read: Json = yaml.safe_load(text)
    return read


def arguments(of: LLMService, engine: str) -> list[str]:
    pod = children(of)[Reference("Deployment", f"demo-{engine}")]["spec"]["template"]["spec"]
    said: list[str] = pod["containers"][0]["args"]
    return said


class TestObjects:
    def test_each_has_what_the_main_one_has_and_leaves_that_as_it_was(self) -> None:
        without, made = children(service()), children(service(ENGINES))
        for engine in ("small", "vectors"):
            assert sorted((kind, name.removeprefix(f"demo-{engine}")) for kind, name in made if engine in name) == [
                ("Deployment", ""),
                ("NetworkPolicy", ""),
                ("PodDisruptionBudget", ""),
                ("Service", ""),
                ("Service", "-pods"),
                ("ServiceAccount", ""),
                ("ServiceMonitor", ""),
            ]
        assert [name for _, name in made if "partner" in name] == [], "somebody else runs it"
        assert {ref: made[ref] for ref in without if ref.kind != "ConfigMap"} == {
            ref: item for ref, item in without.items() if ref.kind != "ConfigMap"
        }

    def test_no_selector_matches_the_pods_of_another(self) -> None:
        made = children(service(ENGINES))
        pods = [item["spec"]["template"] for ref, item in made.items() if ref.kind == "Deployment"]
        for item in made.values():
            if item["kind"] in ("Deployment", "PodDisruptionBudget", "ServiceMonitor"):
                chosen = item["spec"]["selector"]["matchLabels"].items()
                assert sum(chosen <= pod["metadata"]["labels"].items() for pod in pods) == 1

    def test_one_makes_vectors_and_one_answers(self) -> None:
        made = service(ENGINES)
        assert "--runner=pooling" in arguments(made, "vectors")
        assert "--enable-auto-tool-choice" not in arguments(made, "vectors")
        assert "--enable-auto-tool-choice" in arguments(made, "small")
        assert [each for each in arguments(made, "small") if each.startswith("--runner")] == []

    def test_each_has_a_chat_template_of_its_own(self) -> None:
        small = {**SMALL, "toolCalling": {"chatTemplate": "{{ small }}"}}
        made = children(service({"small": small}, engine={"toolCalling": {"chatTemplate": "{{ main }}"}}))
        assert {
            name: item["data"]["chat-template.jinja"]
            for (kind, name), item in made.items()
            if kind == "ConfigMap" and name != "demo-orchestrator"
        } == {"demo-engine": "{{ main }}", "demo-small": "{{ small }}"}

    def test_all_rest_with_the_service(self) -> None:
        made = children(service(ENGINES, suspend=True))
        assert {item["spec"]["replicas"] for ref, item in made.items() if ref.kind == "Deployment"} == {0}

    def test_an_external_main_engine_takes_no_key_and_no_pods(self) -> None:
        names = {name for _, name in children(external())}
        assert names == {"demo", "demo-orchestrator"}
        pod = children(external())[Reference("Deployment", "demo-orchestrator")]["spec"]["template"]["spec"]
        (files,) = [volume["projected"]["sources"] for volume in pod["volumes"] if volume["name"] == "files"]
        assert [list(source) for source in files] == [["configMap"]]

    def test_one_beside_an_external_main_engine_has_a_key_again(self) -> None:
        engine = {"type": "external", "external": {"url": URL}}
        made = children(service({"small": SMALL}, model={"name": "large"}, engine=engine))
        assert Reference("Secret", "demo-engine-key") in made
        assert Reference("Deployment", "demo-engine") not in made


class TestConfiguration:
    def test_each_is_an_upstream_of_its_name(self) -> None:
        read = settings(service(ENGINES))
        key = {
            "apiKeyFile": "/etc/tandem/engine-key/api-key",
            "previousApiKeyFile": "/etc/tandem/engine-key/previous-api-key",
        }
        assert read["upstreams"][1:] == [
            {"name": "partner", "type": "openai", "url": URL, "model": "large"},
            {"name": "small", "url": "http://demo-small-pods:8000", "discovery": "dns", "model": "small", **key},
            {
                "name": "vectors",
                "url": "http://demo-vectors-pods:8000",
                "discovery": "dns",
                "model": "org/minilm",
                **key,
            },
        ]

    def test_an_external_one_has_its_own_key_and_authorities_and_nothing_of_ours(self) -> None:
        made = external(apiKey={"secretName": "hosted"}, tls={"ca": {"secretName": "ca", "secretKey": "ca.crt"}})
        assert settings(made)["upstreams"] == [
            {
                "name": "engine",
                "type": "openai",
                "url": URL,
                "model": "large",
                "apiKey": {"file": "/etc/tandem/secrets/hosted"},
                "tls": {"ca": {"file": "/etc/tandem/secrets/ca/ca.crt"}},
            }
        ]
        assert made.secrets == {"hosted": frozenset(), "ca": frozenset({"ca.crt"})}
        assert named_secrets(made) == {"hosted": "spec.engine.external.apiKey", "ca": "spec.engine.external.tls.ca"}

    @pytest.mark.parametrize(
        ("said", "models"),
        [
            ([], [{"name": "org/model", "fallback": "small", "fallbackSeconds": 2.0}]),
            (
                [{"name": "other"}, {"name": "org/model", "aliases": ["chat"], "fallbackSeconds": 0}],
                [
                    {"name": "other"},
                    {"name": "org/model", "aliases": ["chat"], "fallback": "small", "fallbackSeconds": 0},
                ],
            ),
        ],
        ids=["nothing is said", "an alias, and how soon"],
    )
    def test_a_fallback_takes_one_line(self, said: Json, models: Json) -> None:
        model = {"source": "hf://org/model", "fallback": "small"}
        made = service(ENGINES, model=model, orchestrator={"config": {"models": said}})
        assert settings(made)["models"] == models


def with_one(key: str, engine: Json = SMALL, **others: Any) -> Json:
    return {"engines": {key: engine}, **others}


FALLBACK = {"source": "hf://org/model", "fallback": "small"}
HTTP_WITH_TLS: Json = {"external": {"url": "http://llm", "tls": {"ca": {"secretName": "ca"}}}}
REFUSED: dict[str, tuple[Json, str]] = {
    "no model": (with_one("small", {"accelerator": "cpu"}), "spec.additionalEngines.small.model: Field required"),
    "no source": (with_one("small", {"model": {"name": "x"}}), "spec.additionalEngines.small: model.source is needed"),
    "no source of the main one": ({"model": {"name": "x"}}, "model.source is needed"),
    "the main one's model": (
        with_one("small", {"model": {"source": "hf://org/model"}}),
        "additionalEngines.small.model: 'org/model' is what clients call spec.model already",
    ),
    "the model of two": (
        {"engines": {"one": SMALL, "two": {"model": {"source": "pvc://small"}}}},
        "additionalEngines.two.model: 'small' is what clients call spec.additionalEngines.one.model already",
    ),
    "an upstream's name": (
        with_one("small", orchestrator={"config": {"upstreams": [{"name": "small", "url": "http://x"}]}}),
        "its own (upstreams.0 is engine and upstreams.1 is small, which the service runs itself)",
    ),
    "capitals": (with_one("Small"), "lower-case letters, digits and dashes only"),
    "dots": (with_one("a.b"), "lower-case letters, digits and dashes only"),
    "too long": (with_one("a" * 33), "at most 32 characters"),
    "too long together": (with_one("a" * 32, name="b" * 26), "at most 57 characters together"),
    "too many": ({"engines": {f"e{n}": SMALL for n in range(9)}}, "at most 8 items"),
    **{
        f"{name} is taken": (with_one(name), "must not be engine, embedding")
        for name in ("engine", "orchestrator", "engine-key", "embedding-pods", "migrate", "x-pods", "pods")
    },
    "a fallback that is not there": ({"model": FALLBACK}, "model.fallback must be a name in additionalEngines"),
    "a fallback that makes vectors": (with_one("small", VECTORS, model=FALLBACK), "of an engine with task generate"),
    "two fallbacks": (
        with_one(
            "small",
            model=FALLBACK,
            orchestrator={"config": {"models": [{"name": "org/model", "fallback": "other"}]}},
        ),
        "model.fallback: orchestrator.config.models has 'other' as the fallback of 'org/model' already",
    ),
    "a fallback that leads back": (
        with_one(
            "small",
            model=FALLBACK,
            orchestrator={"config": {"models": [{"name": "small", "fallback": "org/model"}]}},
        ),
        "leads back",
    ),
    "an owned option": (with_one("small", {**SMALL, "extraArgs": ["--port=1"]}), "additionalEngines.*.extraArgs must"),
    "external without a URL": (with_one("x", {**PARTNER, "external": {}}), "external.url: Field required"),
    "external without its server": (with_one("x", {**PARTNER, "external": None}), "external says where the server"),
    "a server of vLLM": (with_one("x", {**SMALL, "external": {"url": URL}}), "external says where the server"),
    "external with a source": (with_one("x", {**PARTNER, "model": SMALL["model"]}), "with type external it is"),
    "external with replicas": (with_one("x", {**PARTNER, "replicas": 2}), "has no pods here"),
    "external with GPUs": (with_one("x", {**PARTNER, "gpus": 1}), "has no pods here"),
    "external with credentials": (
        with_one("x", {**PARTNER, "model": {"name": "x", "credentials": {"secretName": "s"}}}),
        "model.credentials has no use",
    ),
    "authorities without TLS": (with_one("x", {**PARTNER, **HTTP_WITH_TLS}), "tls has a use with an https:// URL"),
    "a key as a file": (
        with_one("x", {**PARTNER, "external": {"url": URL, "apiKey": {"file": "/etc/shadow"}}}),
        "a secret is named by secretName, never by file",
    ),
    "external embeddings": (
        {"embeddingEngine": {"type": "external", "model": {"name": "x"}}},
        "put an external one under additionalEngines",
    ),
}


@pytest.mark.parametrize(("spec", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused(spec: Json, says: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        service(**spec)
    assert says in "; ".join(problems(refusal.value))


def test_the_longest_names_fit() -> None:
    names = {name for _, name in children(service({"a" * 32: SMALL}, name="b" * 25))}
    assert max(map(len, names)) == 63


def test_what_the_platform_does_not_allow_is_refused_here_too() -> None:
    asked = {
        "tolerations": [{"operator": "Exists"}],
        "model": {"source": "hf://m/n", "credentials": {"secretName": "s"}},
    }
    allowance = Allowance.model_validate({"secrets": {"names": []}})
    assert [line.partition(":")[0] for line in excess(service({"small": asked}), allowance, None)] == [
        "spec.additionalEngines.small.model.credentials",
        "spec.additionalEngines.small.tolerations.0",
    ]


def deployment(name: str, ready: int = 1) -> tuple[Reference, Json]:
    pods = max(ready, 1)
    counts = {"replicas": pods, "updatedReplicas": pods, "readyReplicas": ready, "availableReplicas": ready}
    return Reference("Deployment", f"demo-{name}"), {"metadata": {"name": f"demo-{name}"}, "status": counts}


def pod(engine: str, **container: Any) -> Json:
    told = {
        "name": engine,
        "restartCount": 0,
        "ready": False,
        "state": {"running": {"startedAt": "2026-11-30T11:00:00Z"}},
    }
    labels = {"tandem.dev/tier": engine}
    return {
        "metadata": {"name": f"demo-{engine}-0", "labels": labels},
        "status": {"containerStatuses": [{**told, **container}]},
    }


NO_MODEL = {
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 1, "message": "RepositoryNotFoundError: 401 Client Error"}},
}
TWO: Json = {"small": SMALL, "vectors": VECTORS}


def compute(of: LLMService, *small: Json, ready: int = 0, main: int = 1, **observed: Any) -> LLMServiceStatus:
    seen = dict(
        [
            deployment("engine", main),
            deployment("orchestrator", 2),
            deployment("small", ready),
            deployment("vectors"),
        ]
    )
    pods = [pod("engine", ready=bool(main)), pod("vectors", ready=True), *small]
    return status.compute(of, Observed(NOW, seen, pods, **{"degraded": [], **observed}))


def told(computed: LLMServiceStatus) -> dict[str, tuple[str, str]]:
    return {str(each.type): (str(each.status), each.reason) for each in computed.conditions}


def message(computed: LLMServiceStatus, kind: str) -> str:
    return next(each.message for each in computed.conditions if each.type == kind)


def of_engines(computed: LLMServiceStatus) -> dict[str, list[tuple[str, str]]]:
    return {
        engine.name: [(str(each.status), each.reason) for each in engine.conditions]
        for engine in computed.additional_engines or ()
    }


class TestStatus:
    def test_each_is_told_of(self) -> None:
        computed = compute(service(TWO), pod("small", ready=True), ready=1)
        assert list(of_engines(computed).items()) == [(name, [("True", "Serving"), ("True", "Loaded")]) for name in TWO]
        assert told(computed)["AdditionalEnginesReady"] == ("True", "Serving")
        assert computed.additional_engines is not None
        small = computed.additional_engines[0]
        assert (small.model, small.endpoint, small.replicas) == ("small", "http://demo-small.ns.svc:8000", 1)
        assert computed.gpus == 3
        without = compute(service())
        assert "AdditionalEnginesReady" not in told(without)
        assert without.additional_engines is None

    def test_the_service_goes_on_without_one_and_says_which(self) -> None:
        computed = compute(service(TWO), pod("small", **NO_MODEL), degraded=["upstream small: away"])
        assert told(computed)["Ready"] == ("True", "Serving")
        assert told(computed)["AdditionalEnginesReady"] == ("False", "ModelUnavailable")
        assert told(computed)["Degraded"] == ("True", "AdditionalEngineAway")
        assert of_engines(computed)["small"] == [("False", "ModelUnavailable"), ("False", "ModelUnavailable")]
        assert of_engines(computed)["vectors"][0] == ("True", "Serving")
        for kind in ("AdditionalEnginesReady", "Degraded"):
            assert "small: demo-small-0: container small ended" in message(computed, kind)

    def test_one_that_loads_says_so(self) -> None:
        computed = compute(service(TWO), pod("small"))
        assert of_engines(computed)["small"] == [("False", "Starting"), ("False", "Loading")]

    def test_the_fallback_does_not_hide_that_the_main_one_is_away(self) -> None:
        computed = compute(service(TWO, model=FALLBACK), pod("small", ready=True), ready=1, main=0)
        assert told(computed)["Ready"] == ("False", "Starting")
        assert told(computed)["AdditionalEnginesReady"] == ("True", "Serving")

    @pytest.mark.parametrize(
        ("child", "blamed"),
        [
            ("demo-small", "small"),
            ("demo-small-pods", "small"),
            ("demo-small-2", "small-2"),
            ("demo-engine2", "engine2"),
        ],
    )
    def test_a_child_that_is_refused_is_of_its_engine(self, child: str, blamed: str) -> None:
        engines = {
            name: {"model": {"source": f"hf://org/{name}"}, "accelerator": "cpu"}
            for name in ("small", "small-2", "engine2")
        }
        problem = Problem("Service", child, "Refused", "no")
        seen = dict(deployment(name) for name in ("engine", "orchestrator", *engines))
        computed = status.compute(
            service(engines), Observed(NOW, seen, [pod("engine", ready=True)], [problem], degraded=[])
        )
        refused = {name for name, conditions in of_engines(computed).items() if conditions[0] == ("False", "Refused")}
        assert refused == {blamed}
        assert told(computed)["EngineReady"] == ("True", "Serving")

    def test_events_tell_of_each_once(self) -> None:
        before = status.written(compute(service(TWO), pod("small", ready=True), ready=1))
        after = compute(service(TWO, before=before), pod("small", **NO_MODEL))
        turns = status.changes({"status": before}, after)
        assert [(turn.reason, turn.message.partition(":")[0], turn.warning) for turn in turns] == [
            ("AdditionalEngineAway", "Degraded", False),
            ("ModelUnavailable", "additionalEngines.small Ready", True),
            ("ModelUnavailable", "additionalEngines.small ModelReady", True),
        ]
        assert status.changes({"status": status.written(after)}, after) == []

    def test_what_did_not_turn_keeps_its_time(self) -> None:
        before = status.written(compute(service(TWO), pod("small", ready=True), ready=1))
        for entry in before["additionalEngines"]:
            for condition in entry["conditions"]:
                condition["lastTransitionTime"] = "2026-11-01T00:00:00Z"
        after = compute(service(TWO, before=before), pod("small", **NO_MODEL))
        assert after.additional_engines is not None
        times = {engine.name: engine.conditions[0].last_transition_time for engine in after.additional_engines}
        assert times == {"small": "2026-11-30T12:00:00Z", "vectors": "2026-11-01T00:00:00Z"}


AWAY = "upstream engine: the engine cannot be reached (llm.example.com:443: refused)"


class TestExternalStatus:
    def observed(self, degraded: Any, before: Any = None, **engine: Any) -> LLMServiceStatus:
        of = external(**engine)
        of.status = before or {}
        return status.compute(of, Observed(NOW, dict([deployment("orchestrator", 2)]), degraded=degraded))

    @pytest.mark.parametrize(
        ("degraded", "says"),
        [(None, ("False", "NotHeard")), ([], ("True", "Reached")), ([AWAY], ("False", "EngineUnreachable"))],
        ids=["not heard", "reached", "away"],
    )
    def test_it_is_as_the_orchestrators_see_it(self, degraded: Any, says: tuple[str, str]) -> None:
        computed = self.observed(degraded)
        assert told(computed)["EngineReady"] == says
        assert told(computed)["Ready"][0] == told(computed)["ModelReady"][0] == says[0]
        assert told(computed)["Stalled"][0] == "False"
        assert URL in message(computed, "EngineReady")
        assert "PartsUnusable" not in {reason for _, reason in told(computed).values()}
        assert computed.gpus == 0

    @pytest.mark.parametrize("degraded", [[], [AWAY]], ids=["reached", "away"])
    def test_what_they_said_last_counts_until_they_are_heard_again(self, degraded: Any) -> None:
        before = self.observed(degraded)
        after = self.observed(None, status.written(before))
        assert told(after)["EngineReady"] == told(before)["EngineReady"]
        assert message(after, "EngineReady") == message(before, "EngineReady")

    def test_an_additional_one_is_told_of_in_its_entry(self) -> None:
        engines = {"partner": PARTNER}
        seen = dict([deployment("engine"), deployment("orchestrator", 2)])
        line = AWAY.replace("engine:", "partner:")
        observed = Observed(NOW, seen, [pod("engine", ready=True)], degraded=[line])
        computed = status.compute(service(engines), observed)
        assert of_engines(computed) == {"partner": [("False", "EngineUnreachable")] * 2}
        assert told(computed)["Ready"] == ("True", "Serving")
        assert told(computed)["Degraded"] == ("True", "AdditionalEngineAway")
        last = service(engines, before=status.written(computed))
        again = status.compute(last, Observed(NOW, seen, [pod("engine", ready=True)]))
        assert of_engines(again) == of_engines(computed)

    def test_a_missing_secret_is_named_by_its_field(self) -> None:
        of = external(apiKey={"secretName": "hosted"})
        seen = dict([deployment("orchestrator", 0)])
        computed = status.compute(of, Observed(NOW, seen, secrets={}))
        assert told(computed)["OrchestratorReady"] == ("False", "SecretMissing")
        assert "Secret hosted, which spec.engine.external names, does not exist" in message(
            computed, "OrchestratorReady"
        )
