"""Vector stores that hold what a test puts there."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.file_search import FileSearch
from tandem_orchestrator.retrieval.hit import Hit
from tandem_orchestrator.retrieval.question import Question
from tandem_orchestrator.retrieval.searching import store_not_found

from tests.engine_double import Call
from tests.sockets.running import Orchestrator

if TYPE_CHECKING:
    from tandem_orchestrator.errors import GatewayError

STORE = "vs_bikes"
TOOL = {"type": "file_search", "vector_store_ids": [STORE]}
SEARCH = Call("file_search", '{"queries": ["where was it built", "builder"]}')
BUILT = Hit(
    "file-1",
    "history.pdf",
    4,
    "The tandem was built in Dursley by Mikael Pedersen, in 1898.",
    2,
    "Bikes > Tandems",
    0.75,
    {"lang": "en"},
)
ORDER = Hit("file-2", "orders.txt", 0, "Order AB-1234-X was shipped on Monday.", None, "", 0.5, {})


class SearchDouble:
    """Every search of a known store gives all of `hits`, of `failure` its error."""

    def __init__(self, *hits: Hit) -> None:
        self.hits = list(hits)
        self.stores = {("anonymous", STORE): "bicycles"}
        self.asked: list[tuple[str, tuple[str, ...], Question]] = []
        self.failure: GatewayError | None = None

    async def check(self, tenant: str, store_ids: Sequence[str]) -> Sequence[str]:
        for store_id in store_ids:
            if (tenant, store_id) not in self.stores:
                raise store_not_found(store_id)
        return [self.stores[tenant, store_id] for store_id in store_ids]

    async def search(self, record: Record, store_ids: Sequence[str], question: Question) -> list[Hit]:
        self.asked.append((record.tenant or "", tuple(store_ids), question))
        if self.failure is not None:
            raise self.failure
        return self.hits[: question.most]

    def serve(self, orchestrator: Orchestrator) -> None:
        """Becomes what an orchestrator's file_search asks."""
        orchestrator.app.services.toolbox.bindings[FileSearch.name] = FileSearch(self, lambda *_: None)


def declared(**fields: Any) -> dict[str, Any]:
    """The tool with more than its stores."""
    return {**TOOL, **fields}
