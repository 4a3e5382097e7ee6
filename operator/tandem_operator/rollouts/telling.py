"""How a roll-out is told of."""

from typing import Final

from tandem_operator.api.rollout import Phase, RolloutStatus
from tandem_operator.rollouts.decision import Sight, fault, is_pending, is_refused, is_renamed, weight
from tandem_operator.rollouts.record import Record, Stage, Trial
from tandem_operator.rollouts.version import changed

_MOST_FIELDS: Final = 6
_MARK: Final = 8
_Told = tuple[Phase, str]


def told(record: Record, sight: Sight) -> RolloutStatus:
    """Return the status of a roll-out."""
    phase, message = _phase(record, sight)
    trial = record.trial
    return RolloutStatus(
        strategy=sight.settings.strategy,
        phase=phase,
        step=trial.step + 1 if trial and trial.stage is Stage.JUDGED else None,
        weight=weight(record, sight.settings) if trial else None,
        message=message,
        revision=record.current.mark[:_MARK],
    )


def _phase(record: Record, sight: Sight) -> tuple[Phase, str]:
    return next(found for tell in _TOLD if (found := tell(record, sight)))


def _is_undone(record: Record, sight: Sight) -> _Told | None:
    if not record.undone:
        return None
    is_back = record.current.mark != sight.wanted.mark
    what = "the engine is what it was before" if is_back else "nothing is known of what was before, and all stays"
    return Phase.UNDONE, f"{what}; set spec.rollout.undo to false to roll out what the spec says"


def _is_paused(record: Record, sight: Sight) -> _Told | None:
    if not (sight.settings.paused and _goes_on(record, sight)):
        return None
    return Phase.PAUSED, "stays as it is; set spec.rollout.paused to false to go on"


def _is_rolled_back(record: Record, sight: Sight) -> _Told | None:
    if record.refused is None or not is_refused(record, sight.wanted):
        return None
    remedy = "it is tried again once spec.model or spec.engine is another"
    return Phase.ROLLED_BACK, f"{record.refused.cause}; the former engine serves, and {remedy}"


def _is_tried(record: Record, sight: Sight) -> _Told | None:
    return _of_candidate(record, record.trial, sight) if record.trial else None


def _has_another_name(record: Record, sight: Sight) -> _Told | None:
    if not is_renamed(record, sight):
        return None
    former, later = record.current.model, sight.wanted.model
    return Phase.PAUSED, (
        f"clients ask for {former!r}, and would have to ask for {later!r}: with strategy {sight.settings.strategy} "
        f"set spec.model.name to {former!r}, or take RollingUpdate"
    )


def _waits_for_a_change(record: Record, sight: Sight) -> _Told | None:
    return (Phase.UPDATE_PENDING, _pending(record, sight)) if is_pending(record, sight) else None


def _begins(record: Record, sight: Sight) -> _Told | None:
    if record.current.mark == sight.wanted.mark:
        return None
    return Phase.PROGRESSING, "begins once the service runs" if sight.suspended else "begins"


def _replaces_pods(record: Record, sight: Sight) -> _Told | None:
    if record.served or record.previous is None:
        return None
    stays = "" if sight.settings.automatic_rollback else "; nothing is rolled back"
    return Phase.PROGRESSING, f"{_waits(sight)}{stays}"


def _is_complete(_record: Record, _sight: Sight) -> _Told | None:
    return Phase.COMPLETE, "the engine is as the spec says"


_TOLD: Final = (
    _is_undone,
    _is_paused,
    _is_rolled_back,
    _is_tried,
    _has_another_name,
    _waits_for_a_change,
    _begins,
    _replaces_pods,
    _is_complete,
)
"""What is told, the first that holds."""


def _goes_on(record: Record, sight: Sight) -> bool:
    """Return whether there is something to pause."""
    new = record.current.mark != sight.wanted.mark
    held = is_refused(record, sight.wanted) or is_pending(record, sight)
    return record.trial is not None or (new and not held) or (not record.served and record.previous is not None)


def _of_candidate(record: Record, trial: Trial, sight: Sight) -> tuple[Phase, str]:
    against = fault(record, trial, sight)
    kept = f"; it stays so, as spec.rollout.automaticRollback is false: {against}" if against else ""
    match trial.stage:
        case Stage.STARTING:
            waits = sight.candidate.waits or "orchestrators have not been heard yet"
            return Phase.PROGRESSING, f"the candidate gets no requests yet: {waits}{kept}"
        case Stage.JUDGED:
            steps, share = len(sight.settings.trial), weight(record, sight.settings)
            since = f"since {trial.since:%H:%M:%S} UTC"
            return Phase.PROGRESSING, f"step {trial.step + 1} of {steps}: the candidate gets {share} % {since}{kept}"
        case Stage.FINAL:
            return Phase.PROMOTING, "the candidate gets all requests, and its version is final"
        case Stage.STANDING_IN:
            return Phase.PROMOTING, f"the candidate serves until the engine itself does: {_waits(sight)}"
    return Phase.PROMOTING, "the candidate gets no more requests, and goes"


def _waits(sight: Sight) -> str:
    return sight.engine.failure or sight.engine.waits or "its pods are being replaced"


def _pending(record: Record, sight: Sight) -> str:
    fields = list(changed(record.current.template, sight.wanted.template))
    named = ", ".join(fields[:_MOST_FIELDS]) + (" …" if len(fields) > _MOST_FIELDS else "")
    return (
        f"nothing is restarted, though the engine would be made otherwise now ({named}): done with the next change of "
        "spec.model or spec.engine, or once spec.rollout.takeUpdates is true"
    )
