"""ServiceAccounts: one for each tier, with no rights and no mounted token."""

from collections.abc import Iterable

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import Tier
from tandem_operator.manifests.component import Manifest, child


def build(service: LLMService) -> Iterable[Manifest]:
    """Return the tiers' ServiceAccounts."""
    for tier in Tier:
        yield {**child(service, tier, "v1", "ServiceAccount"), "automountServiceAccountToken": False}
