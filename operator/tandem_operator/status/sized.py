"""What `Sized` tells: how many accelerators each engine gets, and by which arithmetic."""

from collections.abc import Mapping
from typing import Final

from tandem_operator.api.component import Tier
from tandem_operator.api.status import ConditionStatus, ConditionType
from tandem_operator.sizing.decision import Decision
from tandem_operator.status.stored import Verdict

_STATUS: Final = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}
_WORST: Final = (False, None, True)


def sized(decisions: Mapping[str, Decision]) -> Verdict | None:
    """Return the verdict on all engines that are sized; None where there is none."""
    if not decisions:
        return None
    worst = min(decisions.values(), key=lambda each: (_WORST.index(each.fits), not each.terminal))
    told = [each.message if tier == Tier.ENGINE else f"{tier}: {each.message}" for tier, each in decisions.items()]
    return Verdict(ConditionType.SIZED, _STATUS[worst.fits], worst.reason, "; ".join(told))


def awaited(decisions: Mapping[str, Decision]) -> Decision | None:
    """Return the decision that keeps all as it is, first one that stays so; None where there is none."""
    held = [each for each in decisions.values() if each.spec is None]
    return min(held, key=lambda each: not each.terminal, default=None)
