"""`spec.orchestrator.retrieval`: vector stores, and which pods read documents."""

from tandem_contract.config import Retrieval

from tandem_operator.api.replicas import Pods, ReplicaRange
from tandem_operator.rules import Ruled


class WorkerRange(ReplicaRange):
    """Fewest and most pods."""

    min: Pods
    """Fewest pods. With min equal to max there is no autoscaler."""
    max: Pods
    """Most pods."""


class WorkersSpec(Ruled):
    """Pods like those of the orchestrator that read documents and serve nobody."""

    replicas: WorkerRange
    """Fewest and most pods; between them by CPU and, where a metrics API tells it, by the files that wait."""


class RetrievalSpec(Retrieval, Ruled):
    """Vector stores (`/v1/vector_stores`) and the tool file_search."""

    workers: WorkersSpec | None = None
    """Pods that read documents, in the place of those that serve. Default: none, those that serve read them."""
