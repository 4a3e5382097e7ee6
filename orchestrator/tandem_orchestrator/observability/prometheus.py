"""How metrics are kept: in plain memory, or for several workers in files that each of them can read.

With several workers `PROMETHEUS_MULTIPROC_DIR` names a folder in which each keeps its values in files under its own
number, so that one worker answers /metrics for all, and a restarted one counts on where the last left off.
"""

import os
from bisect import bisect_left
from typing import Any, Final

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
    values,
)
from prometheus_client.metrics import MetricWrapperBase

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
SUPERVISOR: Final = "supervisor"

_process: int | str = SUPERVISOR


def _name_of_files() -> int | str:
    return _process


disable_created_metrics()  # type: ignore[no-untyped-call]
if FOLDER_VARIABLE in os.environ:  # every metric made from here on keeps its numbers so
    values.ValueClass = values.MultiProcessValue(_name_of_files)  # type: ignore[no-untyped-call]


class Times(Histogram):
    """A histogram that looks its bucket up instead of going through all of them."""

    def observe(self, amount: float, exemplar: Any = None) -> None:  # noqa: ARG002 # as the client calls it
        """Count a duration in seconds."""
        self._sum.inc(amount)
        self._buckets[bisect_left(self._upper_bounds, amount)].inc(1)


class Labelled[Metric: MetricWrapperBase](dict[Any, Metric]):
    """A metric by its label values, one or a tuple: a look-up where `labels()` costs a lock and several strings."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric: Metric = metric

    def __missing__(self, labels: Any) -> Metric:
        child = self[labels] = self._metric.labels(*((labels,) if isinstance(labels, str) else labels))
        return child


def count_as_worker(number: int) -> None:
    """Count as worker `number` from now on; for the process that a supervisor has just forked."""
    global _process  # noqa: PLW0603 # prometheus_client asks a function without arguments
    _process = number


def forget_gauges(process: int | str) -> None:
    """Drop the gauges of a worker that has ended, such as its requests in flight."""
    multiprocess.mark_process_dead(process)  # type: ignore[no-untyped-call]


def exposition() -> bytes:
    """Return all metrics, of all workers, in Prometheus' text format."""
    return generate_latest(_registry())


def samples(label: str, *names: str) -> dict[tuple[str, str], float]:
    """Return the values of these samples, of all workers, each by its name and the value of its one label."""
    return {
        (sample.name, sample.labels[label]): sample.value
        for metric in _registry().collect()
        for sample in metric.samples
        if sample.name in names
    }


def _registry() -> CollectorRegistry:
    if FOLDER_VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
