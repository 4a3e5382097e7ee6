"""All children of an LLMService, in the order in which they are applied."""

from tandem_operator.api.llmservice import LLMService
from tandem_operator.manifests import component
from tandem_operator.manifests.component import Manifest
from tandem_operator.manifests.engine import deployment as engine
from tandem_operator.manifests.engine import model_cache, private
from tandem_operator.manifests.orchestrator import autoscaler, config, migration, service, volumes
from tandem_operator.manifests.orchestrator import deployment as orchestrator
from tandem_operator.manifests.platform import Platform


def build(llm: LLMService, platform: Platform, key_version: str | None = None) -> list[Manifest]:
    """Return the objects that make `llm` run; `key_version` changes when the engine's key does."""
    settings = config.file(llm)
    migrations = [*migration.build(llm, platform, settings)]
    key = private.secret(llm)
    return [
        *component.service_accounts(llm),
        *([key] if key else []),
        config.config_map(llm, settings),
        *engine.chat_template(llm),
        *private.network_policies(llm),
        service.build(llm),
        *service.of_workers(llm),
        *private.services(llm),
        *volumes.claims(llm),
        *model_cache.claims(llm),
        *model_cache.jobs(llm, platform).values(),
        *(
            model_cache.after(component, deployment)
            for component, deployment in zip(
                llm.engines, engine.build(model_cache.with_cached(llm), platform, key_version), strict=True
            )
        ),
        *migrations,
        *(migration.after(migrations, each) for each in orchestrator.build(llm, platform, settings)),
        *autoscaler.build(llm, platform),
        *component.disruption_budgets(llm),
        *component.service_monitors(llm, platform),
    ]
