"""LoRA adapters in a spec: what they become, and what is refused."""

from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import Platform, build

LEGAL = {"name": "legal", "source": "pvc://adapters/legal"}
MEDICAL = {"name": "medical", "source": "pvc://adapters/medical"}
POEMS = {"name": "poems", "source": "hf://org/poems"}
SONGS = {"name": "songs", "source": "oci://registry.example/songs:1"}


def adapted(*adapters: dict[str, Any], **spec: Any) -> LLMService:
    model = {"source": "hf://org/base", "adapters": list(adapters)}
    return LLMService.model_validate({"metadata": {"name": "demo"}, "spec": {"model": model, **spec}})


def pod(service: LLMService) -> dict[str, Any]:
    (found,) = [
        item["spec"]["template"]
        for item in build(service, Platform())
        if (item["kind"], item["metadata"]["name"]) == ("Deployment", "demo-engine")
    ]
    return dict(found)


def test_another_one_of_the_same_claim_or_from_the_hub_restarts_nothing() -> None:
    assert pod(adapted(LEGAL, POEMS)) == pod(adapted(LEGAL)) == pod(adapted(MEDICAL, LEGAL))
    assert pod(adapted(POEMS)) == pod(adapted())
    assert pod(adapted(LEGAL, SONGS)) == pod(adapted(SONGS, MEDICAL))
    assert pod(adapted(LEGAL)) != pod(adapted())


def test_they_lie_where_the_orchestrator_has_the_engine_load_them_from() -> None:
    service = adapted(LEGAL, POEMS, SONGS)
    spec = pod(service)["spec"]
    (container,) = spec["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"] if mount.get("readOnly")}
    paths = {adapter.name: adapter.path for adapter in service.configuration.upstreams[0].adapters}
    assert paths["poems"] == "org/poems"
    claim, image = paths["legal"].removesuffix("/legal"), paths["songs"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes[mounts[claim]]["persistentVolumeClaim"] == {"claimName": "adapters", "readOnly": True}
    assert volumes[mounts[image]]["image"]["reference"] == "registry.example/songs:1"
    assert "--enable-lora" in container["args"]
    assert {"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "True"} in container["env"]


def test_sglang_is_told_at_its_start_what_may_come_and_guards_it_by_its_key() -> None:
    engine = {"type": "sglang", "extraArgs": ["--max-lora-rank=64"]}
    (container,) = pod(adapted(engine=engine, networking={"networkPolicy": {"enabled": False}}))["spec"]["containers"]
    lora = [argument for argument in container["args"] if "lora" in argument]
    assert lora == ["--enable-lora", "--max-lora-rank=16", "--lora-target-modules=all", "--max-lora-rank=64"]
    assert "--api-key=$(TANDEM_ENGINE_KEY)" in container["args"]
    assert not [argument for argument in container["args"] if "admin" in argument], "or the engine's key opens it not"


def test_without_a_list_the_engine_loads_none() -> None:
    service = LLMService.model_validate({"metadata": {"name": "demo"}, "spec": {"model": {"source": "hf://org/base"}}})
    text = str(pod(service))
    assert "--enable-lora" not in text
    assert "RUNTIME_LORA" not in text


def test_an_engine_that_downloads_nothing_downloads_no_adapter() -> None:
    spec = {"model": {"source": "pvc://models/base", "adapters": [POEMS]}}
    with pytest.raises(ValidationError, match="other engines download nothing"):
        LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})


def test_some_are_for_some_tenants() -> None:
    said = {"models": [{"name": "legal", "aliases": ["law"]}]}
    service = adapted({**LEGAL, "tenants": ["law"]}, POEMS, orchestrator={"config": said})
    (legal,) = service.configuration.models
    assert (legal.name, legal.aliases, legal.tenants) == ("legal", ["law"], ["law"])


@pytest.mark.parametrize(
    ("adapters", "spec", "told"),
    [
        ([LEGAL, {**POEMS, "name": "legal"}], {}, "model.adapters[1]: 'legal' is what clients call"),
        ([{**POEMS, "name": "org/base"}], {}, "'org/base' is what clients call spec.model already"),
        ([{**POEMS, "source": "s3://bucket/poems"}], {}, "must begin with hf://, pvc:// or oci://"),
        ([{**POEMS, "source": "hf://org/poems@v1"}], {}, "without a revision"),
        ([{**POEMS, "source": "pvc://adapters/../secrets"}], {}, "must not contain '..'"),
        ([{**POEMS, "name": "a b"}], {}, "pattern"),
        ([POEMS], {"engine": {"type": "tgi"}}, "model.adapters are for engine.type vllm, sglang; leave"),
        ([{**POEMS, "name": "a:b"}], {"engine": {"type": "sglang"}}, "adapters.0.name: 'a:b' has a colon"),
        ([], {"networking": {"networkPolicy": {"enabled": False}}}, "with model.adapters of engine.type vllm,"),
        (
            [POEMS, {**LEGAL, "tenants": ["law"]}],
            {"orchestrator": {"config": {"models": [{"name": "legal", "tenants": ["other"]}]}}},
            "model.adapters[1].tenants: orchestrator.config.models has tenants of 'legal' already; leave one of them",
        ),
        ([], {"engine": {"env": [{"name": "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "value": "1"}]}}, "engine.env must not"),
    ],
)
def test_what_cannot_be_is_refused(adapters: list[dict[str, Any]], spec: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        adapted(*adapters, **spec)
    assert told in str(refused.value)
