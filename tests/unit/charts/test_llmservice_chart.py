"""charts/llmservice: values become one LLMService, and what the definition would refuse is refused before."""

import pytest
import yaml
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import Platform, build

from tests.unit.charts import helm
from tests.unit.charts.helm import LLMSERVICE, ROOT, Json
from tests.unit.charts.schemas import problems

MODEL = {"source": "hf://Qwen/Qwen2.5-0.5B-Instruct"}
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))


def rendered(values: Json) -> Json:
    (only,) = helm.template(LLMSERVICE, values, release="chat", namespace="models")
    return only


def test_lint() -> None:
    minimal = (LLMSERVICE / "ci" / "minimal-values.yaml").read_text()
    helm.output("lint", "--strict", "--quiet", str(LLMSERVICE), values=minimal)


def test_one_resource_named_after_the_release() -> None:
    service = rendered({"spec": {"model": MODEL}, "labels": {"team": "search"}, "annotations": {"a": "b"}})
    assert problems(service) == []
    assert (service["metadata"]["name"], service["metadata"]["namespace"]) == ("chat", "models")
    assert service["metadata"]["labels"]["team"] == "search"
    assert service["metadata"]["annotations"] == {"a": "b"}
    assert rendered({"name": "qwen", "spec": {"model": MODEL}})["metadata"]["name"] == "qwen"


def test_the_spec_arrives_unchanged() -> None:
    spec = yaml.safe_load((ROOT / "manifests" / "samples" / "full.yaml").read_text())["spec"]
    assert rendered({"spec": spec})["spec"] == spec


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "model"),
        ({"model": {}}, "source"),
        ({"model": {**MODEL, "sorce": "x"}}, "sorce"),
        ({"model": MODEL, "engine": {"gpus": "four"}}, "/spec/engine/gpus"),
        ({"model": MODEL, "engine": {"dtype": "float128"}}, "/spec/engine/dtype"),
        ({"model": MODEL, "orchestrator": {"config": {"tools": {"maxRound": 3}}}}, "maxRound"),
        ({"model": MODEL, "orchestrator": {"config": {"drainSeconds": 0}}}, "/spec/orchestrator/config/drainSeconds"),
    ],
)
def test_a_wrong_spec_is_refused_by_name(spec: Json, field: str) -> None:
    assert field in helm.refusal(LLMSERVICE, {"spec": spec})


def test_other_values_are_refused() -> None:
    assert "sepc" in helm.refusal(LLMSERVICE, {"sepc": {"model": MODEL}})


def test_a_cpu_limit_in_the_values_becomes_as_many_workers() -> None:
    values = {"spec": {"model": MODEL, "orchestrator": {"resources": {"limits": {"cpu": 3}, "requests": {"cpu": 1}}}}}
    children = build(LLMService.model_validate(rendered(values)), Platform())
    (file,) = [item["data"]["config.yaml"] for item in children if item["kind"] == "ConfigMap"]
    assert yaml.safe_load(file)["server"] == {"workers": 3}


def test_notes_ask_with_a_key_and_over_https_where_it_takes_that() -> None:
    keys = {"files": [{"secretName": "a"}]}
    tls = {"certificate": {"secretName": "a", "secretKey": "a"}, "key": {"secretName": "a", "secretKey": "b"}}
    config = {"keys": keys, "server": {"tls": tls}}
    text = helm.notes(LLMSERVICE, {"spec": {"model": MODEL, "orchestrator": {"config": config}}}, release="chat")
    assert 'curl -sk https://localhost:8001/v1/models -H "Authorization: Bearer $API_KEY"' in text
    assert "curl -s http://localhost:8001/v1/models\n" in f"{helm.notes(LLMSERVICE, {'spec': {'model': MODEL}})}\n"


def test_notes_say_how_to_look_and_how_to_chat() -> None:
    text = helm.notes(LLMSERVICE, {"spec": {"model": MODEL}}, release="chat")
    for expected in ("get llm chat", "describe llm chat", "service/chat", '"model": "Qwen/Qwen2.5-0.5B-Instruct"'):
        assert expected in text
    named = helm.notes(LLMSERVICE, {"spec": {"model": {**MODEL, "name": "qwen"}}}, release="chat")
    assert '"model": "qwen"' in named
