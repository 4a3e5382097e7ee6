"""All children of an LLMService, in the order in which they are applied."""

from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import configmap, pdb, secret, serviceaccount, servicemonitor
from tandem_operator.manifests.component import Manifest
from tandem_operator.manifests.engine import access
from tandem_operator.manifests.orchestrator import autoscaler, deployment, service
from tandem_operator.manifests.platform import Platform


def build(llm: LLMService, platform: Platform, key_version: str | None = None) -> list[Manifest]:
    """Return the objects that make `llm` run; `key_version` changes when the engine's key does."""
    return [
        *serviceaccount.build(llm),
        *secret.build(llm),
        *configmap.build(llm),
        *access.build(llm),
        *service.build(llm),
        *deployment.build(llm, platform, key_version),
        *autoscaler.build(llm),
        *pdb.build(llm),
        *servicemonitor.build(llm, platform),
    ]
