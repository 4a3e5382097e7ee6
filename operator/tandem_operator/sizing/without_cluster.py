"""What engines get as far as it can be told without a cluster: for what is rendered to be looked at."""

from tandem_operator.api.llmservice import LLMService
from tandem_operator.sizing.asked import is_sized, told_shape
from tandem_operator.sizing.decision import Decision, Evidence, decide


def sized(service: LLMService) -> LLMService:
    """Return a service with the accelerators that its engines get."""
    return service.with_engines({tier: each.spec for tier, each in _decisions(service).items() if each.spec})


def not_sized(service: LLMService) -> list[str]:
    """Return why engines get nothing; empty where each gets something."""
    return [decision.message for decision in _decisions(service).values() if decision.spec is None]


def _decisions(service: LLMService) -> dict[str, Decision]:
    problem = "there is no cluster to look from"
    engines = [each for each in service.engines if is_sized(each)]
    return {each.tier: decide(each, Evidence(shape=told_shape(each), problem=problem)) for each in engines}
