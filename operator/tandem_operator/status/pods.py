"""What is wrong with a pod: policies, and the chain in which they are tried."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.component import EngineComponent
from tandem_operator.api.source import ImageVolume
from tandem_operator.api.text import shortened
from tandem_operator.engines import ENGINES
from tandem_operator.status.finding import Finding, Policy, first_finding
from tandem_operator.status.masking import LONGEST_QUOTE, masked, quoted
from tandem_operator.status.observed import Object

SCHEDULING_GRACE: Final = timedelta(minutes=5)
"""How long an unschedulable pod may wait for a cluster autoscaler before it counts as stalled."""
PREPARING_GRACE: Final = timedelta(minutes=2)
CRASH_MEMORY: Final = timedelta(minutes=10)
"""How long crashes are held against a container that runs again."""
CRASHES: Final = 3

_PULL_REASONS: Final = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")
_NO_SUCH_IMAGE: Final = re.compile(
    r"(?i)not found|no such host|denied|unauthorized|manifest unknown|no match for platform"
)
_BACK_OFF: Final = re.compile(r'^Back-off pulling image "[^"]*": (ErrImagePull: )?')
_CONFIG_REASONS: Final = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError")
_KILLED: Final = (137, 143)
_KUBELET_KEEPS: Final = 2048
"""Bytes of the end of a container's log."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def moment(text: str | None) -> datetime:
    """Return a Kubernetes timestamp; what has none happened long ago."""
    return datetime.fromisoformat(text) if text else _EPOCH


@dataclass(frozen=True)
class ContainerView:
    """A container as its pod's status tells about it."""

    status: Mapping[str, Any]
    kind: str = "container"

    @property
    def name(self) -> str:
        """The container's name."""
        return str(self.status["name"])

    @property
    def state(self) -> Mapping[str, Any]:
        """What it does: one of waiting, running and terminated."""
        return self.status.get("state") or {}

    @property
    def waits_for(self) -> tuple[str, str]:
        """Reason and message of its waiting; empty if it does not wait."""
        waiting = self.state.get("waiting") or {}
        return waiting.get("reason", ""), waiting.get("message", "")

    @property
    def end(self) -> Mapping[str, Any]:
        """How it ended last; empty if it did not, or if it is an init container that has done its work."""
        states = (self.state, self.status.get("lastState") or {})
        end: Mapping[str, Any] = next((state["terminated"] for state in states if "terminated" in state), {})
        done = self.kind == "init container" and "terminated" in self.state and end.get("exitCode") == 0
        return {} if done else end

    @property
    def restarts(self) -> int:
        """How often it was started again."""
        return int(self.status.get("restartCount", 0))


@dataclass(frozen=True)
class PodView:
    """A pod with what its policies need to know."""

    pod: Object
    now: datetime
    engine: EngineComponent | None = None
    """The component that it is of, if that is an engine."""

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def tier(self) -> str:
        """The tier that it is of, and the name of the container that is this tier."""
        return str(self.pod["metadata"]["labels"][names.LABEL_TIER])

    @property
    def created(self) -> datetime:
        """When it was created."""
        return moment(self.pod["metadata"].get("creationTimestamp"))

    @property
    def phase(self) -> str:
        """Where it is in its life; Pending, Running, Succeeded or Failed."""
        return str(self.pod.get("status", {}).get("phase", ""))

    @property
    def is_over(self) -> bool:
        """Whether it will never run again: its Deployment replaces it."""
        return self.phase in ("Failed", "Succeeded")

    @cached_property
    def containers(self) -> list[ContainerView]:
        """Its containers in the order in which they start, with those that others have injected."""
        status = self.pod.get("status", {})
        return [
            *(ContainerView(each, kind="init container") for each in status.get("initContainerStatuses", [])),
            *(ContainerView(each) for each in status.get("containerStatuses", [])),
        ]

    @cached_property
    def main(self) -> ContainerView | None:
        """The container that is the tier; None before it is known."""
        return next((each for each in self.containers if self.is_main(each)), None)

    def is_main(self, container: ContainerView) -> bool:
        """Return whether a container is the tier, and neither a sidecar nor an init container."""
        return container.name == self.tier and container.kind == "container"

    @property
    def model_image(self) -> str | None:
        """Image that it mounts for the model's files."""
        source = self.engine.model.parsed_source if self.engine else None
        return source.reference if isinstance(source, ImageVolume) else None

    def condition(self, kind: str) -> Object:
        """Return one of its conditions; empty if it has none of this kind."""
        conditions = self.pod.get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})


def unschedulable(view: PodView) -> Finding | None:
    """Find that no node takes the pod."""
    condition = view.condition("PodScheduled")
    if condition.get("status") != "False" or condition.get("reason") not in ("Unschedulable", "SchedulerError"):
        return None
    cause, engine = quoted(condition.get("message", "")), view.engine
    if "persistentvolumeclaim" in cause and engine is None:
        remedy = "StoresReady tells of its claim; one that spec.orchestrator.files.claimName names is yours to create"
        return Finding("VolumeMissing", f"{view.name}: {cause}; {remedy}")
    if "persistentvolumeclaim" in cause and engine:
        named = "cache" if engine.model.cache else "source"
        message = f"{view.name}: {cause}; create the claim or correct {engine.model_path}.{named}"
        return Finding("VolumeMissing", message, terminal=True, about_model=True)
    waited = view.now - moment(condition.get("lastTransitionTime"))
    terminal = waited > SCHEDULING_GRACE
    if engine and engine.spec.gpu_count and f"Insufficient {engine.spec.accelerator}" in cause:
        needs = f"needs {engine.spec.gpu_count} {engine.spec.accelerator} on one node"
        message = f"{view.name} {needs}: {cause}; add such nodes or lower {engine.spec_path}.gpus"
        return Finding("Unschedulable", message, terminal)
    return Finding("Unschedulable", f"{view.name}: {cause}", terminal)


def gated(view: PodView) -> Finding | None:
    """Find that somebody, such as Kueue, holds the pod back from the scheduler until there is room for it."""
    if view.condition("PodScheduled").get("reason") != "SchedulingGated":
        return None
    message = f"{view.name} is held back by a scheduling gate, as Kueue does while there is no quota"
    return Finding("SchedulingGated", f"{message}; kubectl describe pod {view.name} names the gate")


def image_unavailable(view: PodView) -> Finding | None:
    """Find an image that cannot be had, be it a container's or the one that holds the model.

    The kubelet's reason alternates with each attempt while the trouble is the same: it is reported as one.
    """
    for container in view.containers:
        reason, text = container.waits_for
        if reason in _PULL_REASONS:
            cause = quoted(_BACK_OFF.sub("", text))
            of_model = bool(view.model_image) and f'"{view.model_image}"' in text
            remedy = _remedy(view, container, of_model=of_model)
            terminal = bool(_NO_SUCH_IMAGE.search(cause))
            return Finding("ImagePullBackOff", f"{_where(view, container)}: {cause}; {remedy}", terminal, of_model)
        if reason in ("InvalidImageName", "ErrImageNeverPull"):
            return Finding(reason, f"{_where(view, container)}: {quoted(text)}; correct the image", terminal=True)
    return None


def misconfigured(view: PodView) -> Finding | None:
    """Find a container that cannot be made, for example because a Secret is missing."""
    for container in view.containers:
        reason, text = container.waits_for
        if reason in _CONFIG_REASONS:
            return Finding(reason, f"{_where(view, container)}: {quoted(text)}", terminal=True)
    return None


def out_of_memory(view: PodView) -> Finding | None:
    """Find a container that was killed for its memory."""
    for container in view.containers:
        if container.end.get("reason") == "OOMKilled" and _held_against(view, container):
            message = f"{view.name}: {container.kind} {container.name} ran out of memory; raise its memory limit"
            return Finding("OOMKilled", message, terminal=True)
    return None


def too_slow_to_start(view: PodView) -> Finding | None:
    """Find that the engine was killed because its startup budget was used up."""
    container, engine = view.main, view.engine
    if not engine or not container or container.status.get("started"):
        return None
    lasted = (moment(container.end.get("finishedAt")) - moment(container.end.get("startedAt"))).total_seconds()
    if container.end.get("exitCode") in _KILLED and lasted >= engine.spec.startup_seconds:
        message = (
            f"{view.name}: not ready within {engine.spec.startup_seconds} s; raise {engine.spec_path}.startupTimeout"
        )
        return Finding("StartupTimeout", message, terminal=True)
    return None


def crashing(view: PodView) -> Finding | None:
    """Find a container that ends again and again."""
    for container in view.containers:
        end, loops = container.end, container.waits_for[0] == "CrashLoopBackOff"
        if not loops and not (end and ("terminated" in container.state or _held_against(view, container))):
            continue
        output = end.get("message", "")
        times = container.restarts + ("running" not in container.state)
        last = f": {last_line(output)}" if output else "; kubectl logs --previous shows why"
        how = f"{container.kind} {container.name} ended {times}x, exit code {end.get('exitCode', 'unknown')}{last}"
        if view.is_main(container) and view.engine and ENGINES[view.engine.spec.type].model_errors.search(output):
            return Finding("ModelUnavailable", f"{view.name}: {how}", terminal=True, about_model=True)
        return Finding("CrashLoopBackOff" if loops or times > 1 else "Crashed", f"{view.name}: {how}", times > 1)
    return None


def slow_to_prepare(view: PodView) -> Finding | None:
    """Find that the pod's volumes or network take long."""
    begun = moment(view.condition("PodScheduled").get("lastTransitionTime"))
    waits = {container.waits_for[0] for container in view.containers}
    # In a pod with init containers all wait for PodInitializing before the first of them begins.
    if ("ContainerCreating" not in waits and waits != {"PodInitializing"}) or view.now - begun < PREPARING_GRACE:
        return None
    message = f"{view.name}: its image, volumes or network are being prepared since {begun:%H:%M:%S} UTC; "
    return Finding("ContainerCreating", f"{message}kubectl describe pod {view.name} shows what it waits for")


POD: Final[tuple[Policy[PodView], ...]] = (
    unschedulable,
    gated,
    image_unavailable,
    misconfigured,
    out_of_memory,
    too_slow_to_start,
    crashing,
    slow_to_prepare,
)
"""What is wrong with a pod."""


def diagnose(view: PodView) -> Finding | None:
    """Return what is wrong with a pod; None while nothing is."""
    return first_finding(POD, view)


def given_up(view: PodView) -> Finding:
    """Return why a pod is over: its node gave it up, or did not even begin with it."""
    status = view.pod["status"]
    reason = status.get("reason") or f"Pod{view.phase}"
    return Finding(reason, f"{view.name}: {quoted(status.get('message') or view.phase.lower())}")


def last_line(text: str) -> str:
    """Return the last line of a log; of one that the kubelet has cut, the first word may be the rest of a secret."""
    if len(text.encode(errors="replace")) >= _KUBELET_KEEPS:
        text = "".join(text[-_KUBELET_KEEPS:].split(maxsplit=1)[1:])
    lines = [line.strip() for line in masked(text).splitlines() if line.strip()]
    return shortened(lines[-1] if lines else "…", LONGEST_QUOTE)


def _held_against(view: PodView, container: ContainerView) -> bool:
    """Return whether a crash still counts: one long ago does not, but many do even while the container runs."""
    recent = view.now - moment(container.end.get("finishedAt")) < CRASH_MEMORY
    return recent and (container.restarts >= CRASHES or not container.status.get("ready"))


def _where(view: PodView, container: ContainerView) -> str:
    return view.name if view.is_main(container) else f"{view.name}: {container.kind} {container.name}"


def _remedy(view: PodView, container: ContainerView, *, of_model: bool) -> str:
    if view.engine and of_model:
        return f"check {view.engine.model_path}.source and {view.engine.model_path}.credentials"
    return "check its name and imagePullSecrets" if view.is_main(container) else "check what has injected it"
