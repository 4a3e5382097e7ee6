"""ConfigMaps: the orchestrator's configuration file and, if the spec holds one, the engine's chat template."""

import hashlib
from collections.abc import Iterable
from typing import Final

import yaml
from tandem_contract import names
from tandem_contract.config import OrchestratorConfig, Upstream

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, child_name
from tandem_operator.manifests.identity import Manifest, child

CHAT_TEMPLATE_KEY: Final = "chat-template.jinja"


def build(service: LLMService) -> Iterable[Manifest]:
    """Return the tiers' ConfigMaps."""
    yield {
        **child(service, Tier.ORCHESTRATOR, "v1", "ConfigMap"),
        "data": {names.CONFIG_KEY: orchestrator_config(service)},
    }
    template = inline_chat_template(service)
    if template:
        yield {**child(service, Tier.ENGINE, "v1", "ConfigMap"), "data": {CHAT_TEMPLATE_KEY: template}}


def orchestrator_config(service: LLMService) -> str:
    """Return the orchestrator's configuration file: what the spec sets, and its engine."""
    upstream = Upstream(
        name="engine",
        url=f"http://{child_name(service, Tier.ENGINE)}:{names.ENGINE_PORT}",
        model=service.spec.model.served_name,
        api_key_file=names.ENGINE_KEY_PATH,
    )
    settings = service.spec.orchestrator.config.model_dump(exclude_unset=True)
    config = OrchestratorConfig.model_validate({**settings, "upstreams": [upstream]})
    return yaml.safe_dump(
        config.model_dump(mode="json", by_alias=True, exclude_unset=True), sort_keys=False, allow_unicode=True
    )


def inline_chat_template(service: LLMService) -> str | None:
    """Return the chat template that the spec holds as text; a text without braces is a path in the image."""
    template = service.spec.engine.tool_calling.chat_template
    return template if template and "{" in template else None


def checksum(text: str) -> str:
    """Return what changes on a pod template when a file that it mounts does."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
