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
QUEUE_DEPTH: Final = Gauge("tandem_operator_queue_depth", "LLMServices waiting to be reconciled", registry=REGISTRY)
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
WRITES: Final = Counter(
    "tandem_operator_writes", "Writes to the API server by verb and kind", ["verb", "kind"], registry=REGISTRY
)
LEADER: Final = Gauge("tandem_operator_leader", "1 in the replica that holds the Lease", registry=REGISTRY)
