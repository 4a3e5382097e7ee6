"""How a roll-out is told of."""

from typing import Final

from tandem_operator.api.rollout import Phase, RolloutStatus
from tandem_operator.rollouts.decision import Sight, fault, is_pending, is_refused, is_renamed, weight
from tandem_operator.rollouts.record import Record, Stage, Trial
from tandem_operator.rollouts.version import changed

_MOST_FIELDS: Final = 6
_MARK: Final = 8


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
    if record.undone:
        return Phase.UNDONE, _undone(record, sight)
    if sight.settings.paused and _goes_on(record, sight):
        return Phase.PAUSED, "stays as it is; set spec.rollout.paused to false to go on"
    if is_refused(record, sight.wanted) and record.refused:
        remedy = "it is tried again once spec.model or spec.engine is another"
        return Phase.ROLLED_BACK, f"{_cause(record)}; the former engine serves, and {remedy}"
    if trial := record.trial:
        return _of_candidate(record, trial, sight)
    if is_renamed(record, sight):
        return Phase.PAUSED, (
            f"clients ask for {record.current.model!r}, and would have to ask for {sight.wanted.model!r}: with strategy "
            f"{sight.settings.strategy} set spec.model.name to {record.current.model!r}, or take RollingUpdate"
        )
    if is_pending(record, sight):
        return Phase.UPDATE_PENDING, _pending(record, sight)
    if record.current.mark != sight.wanted.mark:
        return Phase.PROGRESSING, "begins once the service runs" if sight.suspended else "begins"
    if not record.served and record.previous:
        waits = sight.engine.failure or sight.engine.waits or "its pods are being replaced"
        return Phase.PROGRESSING, f"{waits}{'' if sight.settings.automatic_rollback else '; nothing is rolled back'}"
    return Phase.COMPLETE, "the engine is as the spec says"


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
            waits = sight.engine.failure or sight.engine.waits or "its pods are being replaced"
            return Phase.PROMOTING, f"the candidate serves until the engine itself does: {waits}"
    return Phase.PROMOTING, "the candidate gets no more requests, and goes"


def _undone(record: Record, sight: Sight) -> str:
    is_back = record.current.mark != sight.wanted.mark
    what = "the engine is what it was before" if is_back else "nothing is known of what was before, and all stays"
    return f"{what}; set spec.rollout.undo to false to roll out what the spec says"


def _pending(record: Record, sight: Sight) -> str:
    fields = list(changed(record.current.template, sight.wanted.template))
    named = ", ".join(fields[:_MOST_FIELDS]) + (" …" if len(fields) > _MOST_FIELDS else "")
    return (
        f"nothing is restarted, though the engine would be made otherwise now ({named}): done with the next change of "
        "spec.model or spec.engine, or once spec.rollout.takeUpdates is true"
    )


def _cause(record: Record) -> str:
    return record.refused.cause if record.refused else ""
