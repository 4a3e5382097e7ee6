"""All children of an LLMService, in the order in which they are applied."""

from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import (
    configmap,
    deployment,
    hpa,
    networkpolicy,
    pdb,
    secret,
    service,
    serviceaccount,
    servicemonitor,
)
from tandem_operator.manifests.identity import Manifest
from tandem_operator.manifests.platform import Platform


def build(llm: LLMService, platform: Platform, key_version: str | None = None) -> list[Manifest]:
    """Return the objects that make `llm` run; `key_version` changes when the engine's key does."""
    return [
        *serviceaccount.build(llm),
        *secret.build(llm),
        *configmap.build(llm),
        *networkpolicy.build(llm),
        *service.build(llm),
        *deployment.build(llm, platform, key_version),
        *hpa.build(llm),
        *pdb.build(llm),
        *servicemonitor.build(llm, platform),
    ]
