"""What is wrong with a pod: a list of policies, each a pure function that finds one cause or nothing."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tandem_operator.status.finding import Finding
from tandem_operator.status.observed import Object, moment

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
_LONGEST_MESSAGE: Final = 512
_MODEL_ERRORS: Final = re.compile(
    r"(?i)repository ?not ?found|gated ?repo|is not a valid model identifier|is not a local folder"
    r"|401 client error|403 client error|429 client error|revision ?not ?found|no such file or directory: '/models"
    r"|cannot find (the requested files|any model weights)|offlinemodeisenabled|localentrynotfound"
)


@dataclass(frozen=True)
class PodView:
    """A pod with what its policies need to know."""

    pod: Object
    now: datetime
    accelerator: str | None = None
    """Extended resource that it asks for."""
    accelerators: int = 0
    startup_seconds: int | None = None
    """Startup budget of its container."""
    model_image: str | None = None
    """Image that it mounts for the model's files."""

    @property
    def name(self) -> str:
        """The pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Statuses of its containers."""
        return list(self.pod.get("status", {}).get("containerStatuses", []))

    def condition(self, kind: str) -> dict[str, Any]:
        """Return one of its conditions; empty if it has none of this kind."""
        conditions = self.pod.get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def waiting(self) -> Iterator[tuple[str, str]]:
        """Yield reason and message of each container that waits."""
        for container in self.containers:
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                yield waiting.get("reason", ""), waiting.get("message", "")

    def ended(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Yield each container that ended, with how it did so last."""
        for container in self.containers:
            for state in (container.get("state", {}), container.get("lastState", {})):
                if "terminated" in state:
                    yield container, state["terminated"]
                    break


def unschedulable(view: PodView) -> Finding | None:
    """No node takes the pod."""
    condition = view.condition("PodScheduled")
    if condition.get("status") != "False" or condition.get("reason") not in ("Unschedulable", "SchedulerError"):
        return None
    said = _short(condition.get("message", ""))
    if "persistentvolumeclaim" in said:
        message = f"{view.name}: {said}; create the claim or correct spec.model.source"
        return Finding("VolumeMissing", message, terminal=True, about_model=True)
    waited = view.now - moment(condition.get("lastTransitionTime"))
    terminal = waited > SCHEDULING_GRACE
    if view.accelerator and f"Insufficient {view.accelerator}" in said:
        needs = f"needs {view.accelerators} {view.accelerator} on one node"
        message = f"{view.name} {needs}: {said}; add such nodes or lower spec.engine.gpus"
        return Finding("Unschedulable", message, terminal)
    return Finding("Unschedulable", f"{view.name}: {said}", terminal)


def gated(view: PodView) -> Finding | None:
    """Somebody, such as Kueue, holds the pod back from the scheduler until there is room for it."""
    if view.condition("PodScheduled").get("reason") != "SchedulingGated":
        return None
    gates = ", ".join(gate["name"] for gate in view.pod.get("spec", {}).get("schedulingGates", []))
    return Finding("SchedulingGated", _short(f"{view.name} waits for its scheduling gates to be lifted: {gates}"))


def image_unavailable(view: PodView) -> Finding | None:
    """An image cannot be had, be it the container's or the one that holds the model.

    The kubelet's reason alternates with each attempt while the trouble is the same: it is reported as one.
    """
    for reason, said in view.waiting():
        if reason in _PULL_REASONS:
            cause = _short(_BACK_OFF.sub("", said))
            of_model = bool(view.model_image) and f'"{view.model_image}"' in said
            remedy = "spec.model.source and spec.model.credentials" if of_model else "its name and imagePullSecrets"
            terminal = bool(_NO_SUCH_IMAGE.search(cause))
            return Finding("ImagePullBackOff", f"{view.name}: {cause}; check {remedy}", terminal, of_model)
        if reason in ("InvalidImageName", "ErrImageNeverPull"):
            return Finding(reason, f"{view.name}: {_short(said)}; correct the image", terminal=True)
    return None


def misconfigured(view: PodView) -> Finding | None:
    """A container cannot be made, for example because a Secret is missing."""
    for reason, said in view.waiting():
        if reason in _CONFIG_REASONS:
            return Finding(reason, f"{view.name}: {_short(said)}", terminal=True)
    return None


def out_of_memory(view: PodView) -> Finding | None:
    """A container was killed for its memory."""
    for container, end in view.ended():
        if end.get("reason") == "OOMKilled" and _held_against(view, container, end):
            message = f"{view.name}: container {container['name']} ran out of memory; raise its memory limit"
            return Finding("OOMKilled", message, terminal=True)
    return None


def too_slow_to_start(view: PodView) -> Finding | None:
    """A container was killed because its startup budget was used up."""
    for container, end in view.ended():
        lasted = (moment(end.get("finishedAt")) - moment(end.get("startedAt"))).total_seconds()
        killed = end.get("exitCode") in _KILLED and not container.get("started")
        if view.startup_seconds and killed and lasted >= view.startup_seconds:
            message = f"{view.name}: not ready within {view.startup_seconds} s; raise spec.engine.startupTimeout"
            return Finding("StartupTimeout", message, terminal=True)
    return None


def crashing(view: PodView) -> Finding | None:
    """A container ends again and again."""
    waits = any(reason == "CrashLoopBackOff" for reason, _ in view.waiting())
    for container, end in view.ended():
        if not waits and not ("terminated" in container.get("state", {}) or _held_against(view, container, end)):
            continue
        said = end.get("message", "")
        times = container.get("restartCount", 0) + ("running" not in container.get("state", {}))
        last = f": {_last_line(said)}" if said else "; kubectl logs --previous shows why"
        message = f"{view.name}: container {container['name']} ended {times}x, exit code {end.get('exitCode')}{last}"
        if _MODEL_ERRORS.search(said):
            return Finding("ModelUnavailable", message, terminal=True, about_model=True)
        return Finding("CrashLoopBackOff" if waits or times > 1 else "Crashed", message, terminal=times > 1)
    return None


def evicted(view: PodView) -> Finding | None:
    """The node gave the pod up."""
    status = view.pod.get("status", {})
    if status.get("phase") != "Failed":
        return None
    return Finding(status.get("reason") or "PodFailed", f"{view.name}: {_short(status.get('message', 'failed'))}")


def slow_to_prepare(view: PodView) -> Finding | None:
    """The pod's volumes or network take long."""
    begun = moment(view.condition("PodScheduled").get("lastTransitionTime"))
    if not any(reason == "ContainerCreating" for reason, _ in view.waiting()) or view.now - begun < PREPARING_GRACE:
        return None
    message = f"{view.name}: its image, volumes or network are being prepared since {begun:%H:%M:%S} UTC; "
    return Finding("ContainerCreating", f"{message}kubectl describe pod {view.name} shows what it waits for")


POLICIES: Final[tuple[Callable[[PodView], Finding | None], ...]] = (
    unschedulable,
    gated,
    image_unavailable,
    misconfigured,
    out_of_memory,
    too_slow_to_start,
    crashing,
    evicted,
    slow_to_prepare,
)


def diagnose(view: PodView) -> Finding | None:
    """Return the first cause that any policy finds."""
    return next((finding for policy in POLICIES if (finding := policy(view))), None)


def _held_against(view: PodView, container: dict[str, Any], end: dict[str, Any]) -> bool:
    """One crash long ago is forgiven; a container that keeps crashing is not ready even while it runs."""
    recent = view.now - moment(end.get("finishedAt")) < CRASH_MEMORY
    return recent and (container.get("restartCount", 0) >= CRASHES or not container.get("ready"))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _short(lines[-1] if lines else text)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 1]}…"
