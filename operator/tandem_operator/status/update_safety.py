"""Whether an update of the engine costs a request: what waits meanwhile is held, for so long and no longer."""

import math
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from tandem_operator.api.source import HuggingFace
from tandem_operator.api.status import ConditionStatus, ConditionType, Load
from tandem_operator.sizing.decision import Decision
from tandem_operator.sizing.units import gib
from tandem_operator.status.pods import moment
from tandem_operator.status.stored import Verdict
from tandem_operator.status.tier import TierView

_HOLD: Final = "spec.orchestrator.config.hold"


def last_load(engine: TierView) -> Load | None:
    """Return how long the newest pod that serves took from its container's start, or what was seen last.

    A pod that was not ready for a while since has not loaded anew.
    """
    stored: Any = engine.service.status.get("engine")
    former = _load(stored.get("lastLoad") if isinstance(stored, Mapping) else None)
    for pod, main in reversed(engine.mains):
        started, ready = (main.state.get("running") or {}).get("startedAt"), pod.condition("Ready")
        if not started or ready.get("status") != "True":
            continue
        if former and former.started_at == started:
            return former
        seconds = (moment(ready.get("lastTransitionTime")) - moment(started)).total_seconds()
        return Load(started_at=started, seconds=math.ceil(seconds)) if seconds > 0 else former
    return former


def update_safety(engine: TierView, decision: Decision | None) -> Verdict | None:
    """Return whether requests wait for as long as the engine loads."""
    if engine.external or engine.engine is None:
        return None
    kind, load, cost = ConditionType.UPDATE_SAFE, last_load(engine), _cost(engine, decision)
    if engine.engine.spec.replicas > 1:
        message = f"replicas are updated one after the other, and the others serve{cost}"
        return Verdict(kind, ConditionStatus.TRUE, "OthersServe", message)
    if load is None:
        return Verdict(kind, ConditionStatus.UNKNOWN, "NotMeasured", f"the engine has not loaded its model yet{cost}")
    hold, took = engine.service.spec.orchestrator.config.hold, f"the engine took {load.seconds} s to load last time"
    if hold.max_requests and hold.seconds >= load.seconds:
        message = f"{took}; requests wait up to {hold.seconds:g} s{cost}"
        return Verdict(kind, ConditionStatus.TRUE, "HoldSuffices", message)
    held = f"requests are held for {hold.seconds:g} s" if hold.max_requests else "no requests are held"
    message = (
        f"{took}, and {held}: an update or a restart fails those that wait longer; raise {_HOLD}.seconds, keep the "
        f"model nearer, or have more replicas{cost}"
    )
    return Verdict(kind, ConditionStatus.FALSE, "HoldTooShort", message)


def _cost(engine: TierView, decision: Decision | None) -> str:
    """Return what each new pod downloads."""
    model = engine.engine.model if engine.engine else None
    if model is None or model.cache or model.source is None or not isinstance(model.parsed_source, HuggingFace):
        return ""
    weights = decision.estimate.memory.shape.weights if decision and decision.estimate else None
    amount = gib(weights) if weights else "the whole model"
    return f"; each new pod downloads {amount} again, as there is no model.cache"


def _load(stored: Any) -> Load | None:
    try:
        return Load.model_validate(stored)
    except ValidationError:
        return None
