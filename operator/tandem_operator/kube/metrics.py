"""Metrics of the operator itself."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY: Final = CollectorRegistry()

RECONCILES: Final = Counter(
    "tandem_operator_reconciles", "Reconciliations by result (ok, retry)", ["result"], registry=REGISTRY
)
RECONCILE_SECONDS: Final = Histogram(
    "tandem_operator_reconcile_seconds", "Duration of a reconciliation", registry=REGISTRY
)
QUEUE_DEPTH: Final = Gauge(
    "tandem_operator_queue_depth", "LLMServices that are being reconciled, or wait for it", registry=REGISTRY
)
FAILING: Final = Gauge(
    "tandem_operator_failing_services", "LLMServices whose last reconciliation failed", registry=REGISTRY
)
SERVICES: Final = Gauge("tandem_operator_services", "LLMServices known", registry=REGISTRY)
UNREPORTED: Final = Counter(
    "tandem_operator_unreported_failures",
    "Failures that could not be written into the status of their LLMService",
    registry=REGISTRY,
)
UNHEARD: Final = Gauge(
    "tandem_operator_unheard_services",
    "LLMServices whose ready orchestrators did not answer when they were asked how they are",
    registry=REGISTRY,
)
HUNG_PODS: Final = Counter(
    "tandem_operator_hung_pods",
    "Pods of engines that were deleted because they made nothing for the requests that they had",
    registry=REGISTRY,
)
WRITES: Final = Counter(
    "tandem_operator_writes", "Writes to the API server by verb and kind", ["verb", "kind"], registry=REGISTRY
)
UNDEFINED: Final = Gauge(
    "tandem_operator_undefined",
    "1 while the cluster does not serve LLMServices, because their CustomResourceDefinition is not there",
    registry=REGISTRY,
)
WATCH_FAILURES: Final = Counter(
    "tandem_operator_watch_failures", "How often the watches ended with an error and began again", registry=REGISTRY
)
MISSED: Final = Counter(
    "tandem_operator_missed_changes",
    "Changes that no watch had shown when the API server was compared with what is known, by kind",
    ["kind"],
    registry=REGISTRY,
)
LEADER: Final = Gauge("tandem_operator_leader", "1 in the replica that holds the Lease", registry=REGISTRY)
