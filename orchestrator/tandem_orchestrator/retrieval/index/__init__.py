"""Where the pieces of documents and their vectors are kept and searched: tables of its own for each index."""

from tandem_orchestrator.retrieval.index.indexes import Indexes
from tandem_orchestrator.retrieval.index.piece import Embedded, Found, Query

__all__ = ["Embedded", "Found", "Indexes", "Query"]
