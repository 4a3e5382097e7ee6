"""Where chunks and their vectors are kept and searched."""

from tandem_orchestrator.retrieval.index.chunks import Embedded, Found, Query
from tandem_orchestrator.retrieval.index.indexes import Indexes

__all__ = ["Embedded", "Found", "Indexes", "Query"]
