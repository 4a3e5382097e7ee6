"""Whether the model is loaded: read from the engine's pods."""

from tandem_operator.api.llmservice import LLMService
from tandem_operator.status.finding import Finding
from tandem_operator.status.observed import moment
from tandem_operator.status.tier import TierState


def model_finding(service: LLMService, engine: TierState) -> Finding | None:
    """Return why the model is not loaded; None when an engine pod serves it."""
    engines = [(view, view.main) for view in engine.pods if view.main and not view.is_over]
    if any(container.status.get("ready") for _, container in engines):
        return None
    finding = engine.finding
    if finding and (finding.about_model or service.spec.suspend):
        return finding
    source = service.spec.model.source
    for view, container in engines:
        running = container.state.get("running")
        if running and not (finding and finding.terminal):
            begun = moment(running.get("startedAt"))
            budget = service.spec.engine.startup_timeout
            return Finding("Loading", f"{view.name} loads {source} since {begun:%H:%M:%S} UTC (budget {budget})")
    return Finding("EngineNotRunning", f"{source} is loaded once an engine pod runs")
