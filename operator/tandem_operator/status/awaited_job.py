"""A Job that something waits for, as its own status and its pods tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from tandem_contract import names

from tandem_operator.api.component import EngineComponent, Reference
from tandem_operator.status.observed import Object, Observed
from tandem_operator.status.pods import PodView

_JOB_OF_POD: Final = "batch.kubernetes.io/job-name"


@dataclass(frozen=True)
class AwaitedJob:
    """One Job, with what its policies need to know."""

    observed: Observed
    awaited: Reference
    does: ClassVar[str]
    """In the place of a tier, the label of its pods."""

    @property
    def engine(self) -> EngineComponent | None:
        """The engine that it is for, if it is for one."""
        return None

    @property
    def job(self) -> Object | None:
        """The Job; None before it is made."""
        return self.observed.children.get(self.awaited)

    @property
    def failed(self) -> Object:
        """Its condition that it failed; empty while it did not."""
        conditions = self.job.get("status", {}).get("conditions") or [] if self.job else []
        return next((item for item in conditions if (item["type"], item["status"]) == ("Failed", "True")), {})

    @property
    def pods(self) -> list[PodView]:
        """Its pods, oldest first."""
        views = [PodView(pod, self.observed.now, self.engine) for pod in self.observed.pods if self._is_its(pod)]
        return sorted(views, key=lambda view: (view.created, view.name))

    @property
    def end(self) -> Mapping[str, Any]:
        """How its newest pod that ended did so; empty if none ended."""
        ends = [container.end for pod in self.pods for container in pod.containers if container.end]
        return ends[-1] if ends else {}

    def _is_its(self, pod: Object) -> bool:
        labels: dict[str, Any] = pod["metadata"].get("labels") or {}
        return (labels.get(_JOB_OF_POD), labels.get(names.LABEL_TIER)) == (self.awaited.name, self.does)
