"""What `RolledOut` tells: how far the main engine's roll-out is."""

from typing import Final

from tandem_operator.api.rollout import Phase, RolloutStatus
from tandem_operator.api.status import ConditionStatus, ConditionType
from tandem_operator.status.finding import Finding
from tandem_operator.status.stored import Verdict

_GOES_ON: Final = (Phase.PROGRESSING, Phase.PROMOTING)
_AS_THE_SPEC_SAYS: Final = (Phase.COMPLETE, Phase.UPDATE_PENDING)


def verdict(rollout: RolloutStatus, *, suspended: bool) -> Verdict:
    """Return whether the engine is what the spec says; nothing is known of one that does not run."""
    kind = ConditionType.ROLLED_OUT
    if suspended:
        return Verdict(kind, ConditionStatus.UNKNOWN, "Suspended", "nothing runs; set spec.suspend to false to go on")
    status = ConditionStatus.TRUE if is_as_the_spec_says(rollout) else ConditionStatus.FALSE
    return Verdict(kind, status, rollout.phase, rollout.message)


def is_as_the_spec_says(rollout: RolloutStatus | None) -> bool:
    """Return whether the engine that serves is the one that is asked for."""
    return rollout is None or rollout.phase in _AS_THE_SPEC_SAYS


def unfinished(rollout: RolloutStatus | None) -> Finding | None:
    """Find a roll-out that goes on, or that has failed, while the service serves."""
    if rollout and rollout.phase is Phase.ROLLED_BACK:
        return Finding(rollout.phase, rollout.message, terminal=True)
    return Finding(rollout.phase, rollout.message) if rollout and rollout.phase in _GOES_ON else None
