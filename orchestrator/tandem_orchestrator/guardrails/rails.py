"""The configuration's guardrails, ready to be used, and which of them apply to whom."""

from collections.abc import Collection, Mapping, Sequence

from tandem_contract.config import FailurePolicy, GuardedText, Guardrail

from tandem_orchestrator.guardrails.finders import finder
from tandem_orchestrator.guardrails.found import Judge
from tandem_orchestrator.guardrails.model_judge import Ask, ModelJudge
from tandem_orchestrator.guardrails.moderation_client import ModerationClient
from tandem_orchestrator.guardrails.moderation_judge import ModerationJudge
from tandem_orchestrator.guardrails.rail import Rail

Applying = Mapping[GuardedText, tuple[Rail, ...]]
"""Rails by what they judge; what nothing judges is not in it."""


class Rails:
    """All of one configuration; `ask` asks its guard models, and `client` services that judge."""

    def __init__(self, settings: Sequence[Guardrail], ask: Ask, client: ModerationClient) -> None:
        self._rails = [(each, _rail(each, _judge(each, ask, client))) for each in settings]
        self._tenants = frozenset(name for each in settings for name in each.tenants or ())
        self._models = frozenset(name for each in settings for name in each.models or ())
        self._known: dict[tuple[str, frozenset[str]], Applying] = {}

    def applying(self, tenant: str, models: Collection[str]) -> Applying:
        """Return those that apply to a tenant's request that one of `models` may answer, by any of their names.

        What is kept of that is bounded by the names in the configuration.
        """
        key = (tenant if tenant in self._tenants else "", self._models.intersection(models))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._chosen(*key)
        return known

    def _chosen(self, tenant: str, models: frozenset[str]) -> Applying:
        chosen = [
            rail
            for settings, rail in self._rails
            if (settings.tenants is None or tenant in settings.tenants)
            and (settings.models is None or not models.isdisjoint(settings.models))
        ]
        points = {point: tuple(rail for rail in chosen if point in rail.on) for point in GuardedText}
        return {point: rails for point, rails in points.items() if rails}


def _rail(settings: Guardrail, judge: Judge | None) -> Rail:
    return Rail(
        settings.name,
        frozenset(settings.on),
        settings.action,
        settings.window,
        settings.failure_policy is FailurePolicy.IGNORE,
        finder(settings),
        judge,
    )


def _judge(settings: Guardrail, ask: Ask, client: ModerationClient) -> Judge | None:
    if settings.moderation is not None:
        return ModerationJudge(settings.moderation, client)
    return None if settings.model is None else ModelJudge(settings.model, ask)
