"""file_search: the model asks, and the request says in which vector stores, under which filters and for whom."""

from collections.abc import Callable
from typing import Any, Final

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import BadRequest, GatewayError, NotFound
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.hit import Hit
from tandem_orchestrator.retrieval.question import MOST_QUERIES, Question, options_of, queries_of
from tandem_orchestrator.retrieval.searching import Searching
from tandem_orchestrator.tools.passage import Passage
from tandem_orchestrator.tools.tool import Found, ToolError

MOST_STORES: Final = 16  # in one request
LONGEST_QUERY: Final = 1000  # characters of one that a model makes
LONGEST_ABOUT: Final = 300  # characters of what is told of a store
DESCRIPTION: Final = (
    "Search the files that belong to this conversation, by meaning and by words. Returns numbered passages. Ask in "
    "several ways at once where one may miss what is needed."
)
PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "queries": {
            "type": "array",
            "description": "What to search for: questions or key words, each complete in itself",
            "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_QUERY},
            "minItems": 1,
            "maxItems": MOST_QUERIES,
        }
    },
    "required": ["queries"],
}


class FileSearch:
    """Binds the tool to what a request declares; `charge` counts the tokens of a search against a key's budgets."""

    name = "file_search"

    def __init__(self, searching: Searching, charge: Callable[[Principal, int], None]) -> None:
        self.searching = searching
        self.charge = charge

    def bound(self, declared: dict[str, Any], path: str, principal: Principal) -> "BoundSearch":
        """Return the search that a request declares, its fields beside `type` or under `file_search`.

        Raises `BadRequest`.
        """
        inner = declared.get(self.name)
        wanted = inner if isinstance(inner, dict) else declared
        stores = wanted.get("vector_store_ids")
        where = f"{path}.vector_store_ids"
        if not isinstance(stores, list) or not stores or not all(isinstance(store, str) for store in stores):
            raise BadRequest(f"`{where}` must be a list of ids", param=where)
        store_ids = tuple(dict.fromkeys(stores))
        if len(store_ids) > MOST_STORES:
            raise BadRequest(f"`{where}` must have at most {MOST_STORES} ids", param=where)
        options = options_of(wanted, f"{path}.{self.name}" if wanted is inner else path)
        return BoundSearch(self, principal, store_ids, options, where)


class BoundSearch:
    """The tool in one request."""

    name = FileSearch.name
    parameters = PARAMETERS

    def __init__(
        self, tool: FileSearch, principal: Principal, store_ids: tuple[str, ...], options: Question, path: str
    ) -> None:
        self.description = DESCRIPTION
        self._tool = tool
        self._principal = principal
        self._store_ids = store_ids
        self._options = options
        self._path = path

    async def ready(self) -> "BoundSearch":
        """Return it, once its stores are known to be there. Raises `NotFound`, `GatewayError`."""
        try:
            about = await self._tool.searching.check(self._principal.tenant, self._store_ids)
        except NotFound as error:
            error.param = self._path
            raise
        if told := "; ".join(" ".join(each.split())[:LONGEST_ABOUT] for each in about if each):
            self.description = f"{DESCRIPTION} The files are about: {told}"
        return self

    async def call(self, arguments: dict[str, Any]) -> Found:
        """Return what is found for `queries`. Raises `ToolError`."""
        record = Record(self._store_ids[0])
        record.tenant = self._principal.tenant
        try:
            question = self._options._replace(queries=queries_of(arguments["queries"], "queries"))
            hits = await self._tool.searching.search(record, self._store_ids, question)
        except GatewayError as error:
            raise ToolError(error.message) from error
        finally:
            self._tool.charge(self._principal, record.prompt_tokens + record.completion_tokens)
        return Found([_passage(hit) for hit in hits])


def _passage(hit: Hit) -> Passage:
    return Passage(
        hit.text,
        hit.filename,
        file_id=hit.file_id,
        page=hit.page,
        heading=hit.heading,
        score=hit.score,
        attributes=hit.attributes,
    )
