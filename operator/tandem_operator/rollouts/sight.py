"""What is seen of the main engine and its candidate, for a roll-out to be decided."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.outcomes import Outcome
from tandem_operator.manifests.attempts import annotations
from tandem_operator.manifests.engine.candidate import candidate
from tandem_operator.rollouts.decision import Progress, Sight
from tandem_operator.rollouts.record import VERSION, Record, Stage
from tandem_operator.rollouts.version import Version
from tandem_operator.status.finding import Finding, first_finding
from tandem_operator.status.observed import Observed
from tandem_operator.status.pods import CRASHES, PodView, crashing, image_unavailable, misconfigured, moment
from tandem_operator.status.tier import ROLLOUT, TierView, gather, pod_in_trouble, pods_refused

_SLACK: Final = timedelta(seconds=10)
"""By which the API server's clock may be behind."""
_HOPELESS: Final[tuple[Callable[[PodView], Finding | None], ...]] = (image_unavailable, misconfigured)


def see(
    service: LLMService, observed: Observed, record: Record | None, wanted: Version, outcomes: Sequence[Outcome]
) -> Sight:
    """Return what is seen of a service's main engine."""
    sight = Sight(
        now=observed.now,
        settings=service.spec.rollout,
        wanted=wanted,
        engine=Progress(),
        suspended=service.spec.suspend,
        heard=observed.degraded is not None,
        outcomes=tuple(outcomes),
    )
    if record is None or service.spec.suspend:
        return sight
    # only what was a candidate has to prove that it calls tools
    proves, trial = record.trial is not None and record.trial.stage is Stage.STANDING_IN, record.trial
    engine = gather(service, observed, service.engine)
    sight = replace(sight, engine=_progress(engine, record.current, record.since, proves=proves))
    if trial is None:
        return sight
    beside = gather(service, observed, candidate(service.engine))
    return replace(sight, candidate=_progress(beside, trial.version, trial.made, proves=True))


def _progress(view: TierView, version: Version, since: datetime, *, proves: bool) -> Progress:
    """Return how far the pods of an engine are that were made since; `proves`: that they call tools."""
    if view.deployment is None or annotations(view.deployment).get(VERSION) != version.mark:
        return Progress(waits=f"{view.name} is about to be written")
    unfinished = first_finding(ROLLOUT, view)
    verified, waits, fault = _tool_calling(view, since) if proves else (True, "", None)
    if unfinished:
        new = replace(view, pods=[*_new(view, since)])
        waits = (pods_refused(new) or pod_in_trouble(new) or unfinished).message
    return Progress(
        serves=unfinished is None,
        verified=verified,
        waits=waits,
        failure=_failure(view, since) or fault,
    )


def _failure(view: TierView, since: datetime) -> str | None:
    """Return why an engine's new pods will not become ready; None while they may."""
    for pod in _new(view, since):
        if found := _hopeless(pod):
            return found.message
    late = view.condition("Progressing")
    noticed = moment(late["lastUpdateTime"]) if late.get("lastUpdateTime") else since
    if late.get("reason") != "ProgressDeadlineExceeded" or noticed < since - _SLACK:
        return None
    return f"{view.name} did not become ready in time"


def _hopeless(pod: PodView) -> Finding | None:
    """Return what is wrong with a pod that a longer wait will not mend."""
    for policy in _HOPELESS:
        if (found := policy(pod)) and found.terminal:
            return found
    crashed = any(container.restarts >= CRASHES for container in pod.containers)
    return crashing(pod) if crashed else None


def _new(view: TierView, since: datetime) -> Iterator[PodView]:
    yield from (pod for pod in view.pods if pod.created >= since - _SLACK)


def _tool_calling(view: TierView, since: datetime) -> tuple[bool, str, str | None]:
    """Return whether an engine's new pods call tools as they should, what is waited for, and what is wrong."""
    engine = view.engine
    if engine is None or not engine.spec.tool_calling.enabled:
        return True, "", None
    addresses = {pod.pod.get("status", {}).get("podIP") for pod in _new(view, since)}
    said = [
        each for each in view.observed.tool_calling if each.engine == engine.tier and _host(each.address) in addresses
    ]
    if wrong := next((each for each in said if each.verified is False), None):
        return False, "", f"it does not call tools as it should: {wrong.reason}: {wrong.message}"
    right = sum(each.verified is True for each in said)
    waits = f"of {engine.spec.replicas} replicas {right} are known to call tools as they should"
    return right >= engine.spec.replicas, waits, None


def _host(address: str) -> str:
    """Return the IP address of an address with a port."""
    return address.rpartition(":")[0].strip("[]")
