"""ConfigMaps: the orchestrator's configuration file and, if the spec holds one, the engine's chat template."""

from collections.abc import Iterable
from typing import Any, Final

import yaml
from tandem_contract import names

from tandem_operator.api.configuration import configuration
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier, pods_service_name
from tandem_operator.manifests.component import Manifest, child
from tandem_operator.manifests.orchestrator.config import written

CHAT_TEMPLATE_KEY: Final = "chat-template.jinja"


def build(service: LLMService) -> Iterable[Manifest]:
    """Return the tiers' ConfigMaps."""
    yield {
        **child(service, Tier.ORCHESTRATOR, "v1", "ConfigMap"),
        "data": {names.CONFIG_KEY: yaml.safe_dump(orchestrator_config(service), sort_keys=False, allow_unicode=True)},
    }
    template = inline_chat_template(service)
    if template:
        yield {**child(service, Tier.ENGINE, "v1", "ConfigMap"), "data": {CHAT_TEMPLATE_KEY: template}}


def orchestrator_config(service: LLMService) -> dict[str, Any]:
    """Return the orchestrator's configuration file as plain data: what the spec sets, and its engine."""
    engine_url = f"http://{pods_service_name(service)}:{names.ENGINE_PORT}"
    config: dict[str, Any] = written(configuration(service.spec.model, service.spec.orchestrator, engine_url))
    return config


def inline_chat_template(service: LLMService) -> str | None:
    """Return the chat template that the spec holds as text; a text without braces is a path in the image."""
    template = service.spec.engine.tool_calling.chat_template
    return template if template and "{" in template else None
