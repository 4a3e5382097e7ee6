"""What an LLMService may ask for, and what is said of the rest."""

import json
from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.allowance import VARIABLE, Allowance, excess, named_secrets
from tandem_operator.api.llmservice import LLMService


def service(**spec: Any) -> LLMService:
    document = {"metadata": {"name": "demo"}, "spec": {"model": {"source": "hf://org/model"}, **spec}}
    return LLMService.model_validate(document)


def allowing(**values: Any) -> Allowance:
    return Allowance.from_environment({VARIABLE: json.dumps(values)})


def tolerating(*tolerations: dict[str, str], tier: str = "engine") -> LLMService:
    return service(**{tier: {"tolerations": [*tolerations]}})


def reading(name: str) -> LLMService:
    return service(model={"source": "hf://org/model", "credentials": {"secretName": name}})


def exposed(kind: str, *annotations: str) -> LLMService:
    return service(networking={"service": {"type": kind, "annotations": dict.fromkeys(annotations, "x")}})


@pytest.mark.parametrize(
    ("asking", "values"),
    [
        (reading("anything"), {}),
        (reading("llm-hub"), {"secrets": {"names": ["other", "llm-*"]}}),
        (exposed("LoadBalancer", "example.com/a"), {}),
        (exposed("ClusterIP", "lb.example.com/a"), {"serviceTypes": ["ClusterIP"], "serviceAnnotations": ["lb.*/*"]}),
        (tolerating({"key": "dedicated"}), {}),
        (tolerating({"key": "dedicated"}), {"tolerations": ["dedicated", "spot"]}),
        (tolerating({"operator": "Exists"}), {"tolerations": [""]}),
        (
            tolerating({"key": "node-role.kubernetes.io/control-plane"}),
            {"tolerations": ["node-role.kubernetes.io/control-plane"]},
        ),
        (service(engine={"gpus": 1}), {"tolerations": []}),
    ],
)
def test_allowed(asking: LLMService, values: dict[str, Any]) -> None:
    assert excess(asking, allowing(**values), None) == []


@pytest.mark.parametrize(
    ("asking", "values", "field", "remedy"),
    [
        (reading("admin"), {"secrets": {"names": ["llm-*"]}}, "spec.model.credentials", "authors.secrets.names"),
        (reading("other-engine-key"), {"secrets": {"names": ["*"]}}, "spec.model.credentials", "rename it"),
        (exposed("NodePort"), {"serviceTypes": ["ClusterIP"]}, "spec.networking.service.type", "authors.serviceTypes"),
        (
            exposed("ClusterIP", "a/b", "c/d"),
            {"serviceAnnotations": ["a/*"]},
            "spec.networking.service.annotations: c/d",
            "authors.serviceAnnotations",
        ),
        (tolerating({"key": "spot"}), {"tolerations": []}, "spec.engine.tolerations.0", "authors.tolerations"),
        (tolerating({"operator": "Exists"}, tier="orchestrator"), {}, "spec.orchestrator.tolerations.0", "every taint"),
        (
            tolerating({"key": "spot"}, {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}),
            {"tolerations": ["*", "node-role*", ""]},
            "spec.engine.tolerations.1",
            "node-role.kubernetes.io/control-plane",
        ),
    ],
)
def test_not_allowed(asking: LLMService, values: dict[str, Any], field: str, remedy: str) -> None:
    (line,) = excess(asking, allowing(**values), None)
    assert line.startswith(field)
    assert remedy in line


def test_a_secret_must_fulfil_names_and_selector() -> None:
    both = allowing(secrets={"names": ["llm-*"], "selector": "llm=allowed"})
    assert excess(reading("llm-hub"), both, {"llm-hub", "other"}) == []
    (line,) = excess(reading("llm-hub"), both, set())
    assert "llm=allowed" in line
    (line,) = excess(reading("other"), both, {"llm-hub", "other"})
    assert "authors.secrets.names" in line


def test_every_way_to_name_a_secret_is_known() -> None:
    reference = {"valueFrom": {"secretKeyRef": {"name": "variable", "key": "k"}}}
    config = {
        "keys": {"files": [{"secretName": "keys"}]},
        "upstreams": [{"name": "a", "url": "http://a", "model": "m", "apiKey": {"secretName": "upstream"}}],
    }
    named = named_secrets(
        service(
            model={"source": "hf://org/model", "credentials": {"secretName": "hub"}},
            engine={"imagePullSecrets": [{"name": "registry"}], "env": [{"name": "A", **reference}]},
            orchestrator={"imagePullSecrets": [{"name": "registry"}], "config": config},
        )
    )
    assert named == {
        "hub": "spec.model.credentials",
        "variable": "spec.engine.env.0.valueFrom",
        "registry": "spec.engine.imagePullSecrets.0",
        "upstream": "spec.orchestrator.config.upstreams.0.apiKey",
        "keys": "spec.orchestrator.config.keys.files.0",
    }


@pytest.mark.parametrize("wrong", [{"serviceTypes": ["External"]}, {"toleration": []}, {"tolerations": "spot"}])
def test_a_value_that_is_not_understood_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        allowing(**wrong)
