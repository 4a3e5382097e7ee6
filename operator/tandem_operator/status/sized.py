"""What `Sized` tells: how many accelerators each engine gets, and by which arithmetic."""

from collections.abc import Mapping
from typing import Final

from tandem_operator.api.component import Tier
from tandem_operator.api.status import ConditionStatus, ConditionType
from tandem_operator.sizing.decision import Decision
from tandem_operator.status.stored import Verdict

_STATUS: Final = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}
_WORST: Final = (False, None, True)


def sized(decisions: Mapping[str, Decision], kv_tokens: Mapping[str, int]) -> Verdict | None:
    """Return the verdict on all engines that are sized; None where there is none.

    `kv_tokens`: by tier, for how many tokens an engine says that its cache has room.
    """
    if not decisions:
        return None
    worst = min(decisions.values(), key=lambda each: (_WORST.index(each.fits), not each.terminal))
    told = [_told(tier, each, kv_tokens.get(tier)) for tier, each in decisions.items()]
    return Verdict(ConditionType.SIZED, _STATUS[worst.fits], worst.reason, "; ".join(told))


def _told(tier: str, decision: Decision, kv_tokens: int | None) -> str:
    """Return what was decided, and by how much the engine itself says otherwise."""
    message = decision.message if tier == Tier.ENGINE else f"{tier}: {decision.message}"
    if kv_tokens is None or decision.estimate is None:
        return message
    off = 100 * (kv_tokens / decision.estimate.kv_tokens - 1)
    return f"{message}. The engine itself has room for {kv_tokens:,} tokens, {off:+.0f} %"


def awaited(decisions: Mapping[str, Decision]) -> Decision | None:
    """Return the decision that keeps all as it is, first one that stays so; None where there is none."""
    held = [each for each in decisions.values() if each.spec is None]
    return min(held, key=lambda each: not each.terminal, default=None)
