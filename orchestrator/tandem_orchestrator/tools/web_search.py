"""web_search: asks SearXNG, Tavily or Brave."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from tandem_contract.config import SearchProvider
from tandem_contract.config import WebSearch as WebSearchSettings

from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.tools.outbound import Http, HttpRequest, OutboundError
from tandem_orchestrator.tools.passage import Passage
from tandem_orchestrator.tools.tool import Found, ToolError

OK: Final = 200
BASES: Final[Mapping[SearchProvider, str]] = {
    SearchProvider.TAVILY: "https://api.tavily.com",
    SearchProvider.BRAVE: "https://api.search.brave.com",
}


class WebSearch:
    """Finds pages, and an excerpt of each."""

    name = "web_search"
    description = "Search the web for current information. Returns pages with their title, address and an excerpt."

    def __init__(self, settings: WebSearchSettings) -> None:
        self._settings = settings
        self._base = (settings.url or BASES[settings.provider]).rstrip("/")
        self._http = Http([self._base])
        self.parameters: dict[str, Any] = {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to search for", "minLength": 1, "maxLength": 400},
                "count": {
                    "type": "integer",
                    "description": f"How many results, {settings.max_results} if left out",
                    "minimum": 1,
                    "maximum": settings.max_results,
                },
            },
            "required": ["query"],
        }

    async def call(self, arguments: dict[str, Any]) -> Found:
        """Search for `query`, and return `count` results at most."""
        query, count = arguments["query"], arguments.get("count", self._settings.max_results)
        found = await self._search(query, count)
        if not isinstance(found, list):
            raise ToolError("the search service gave no results")
        return Found([_page(entry) for entry in found[:count] if isinstance(entry, dict)])

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()

    async def _search(self, query: str, count: int) -> Any:
        match self._settings.provider:
            case SearchProvider.SEARXNG:
                parameters = {"q": query, "format": "json"}
                return (await self._ask("GET", f"/search?{urlencode(parameters)}", {})).get("results")
            case SearchProvider.TAVILY:
                headers = {"authorization": f"Bearer {self._key()}", "content-type": "application/json"}
                body = orjson.dumps({"query": query, "max_results": count})
                return (await self._ask("POST", "/search", headers, body)).get("results")
            case SearchProvider.BRAVE:
                parameters = {"q": query, "count": str(count), "text_decorations": "false"}
                headers = {"x-subscription-token": self._key()}
                answer = await self._ask("GET", f"/res/v1/web/search?{urlencode(parameters)}", headers)
                web = answer.get("web") or {"results": []}  # Brave leaves it out where nothing was found
                return web.get("results")

    async def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
        try:
            answer = await self._http.fetch(HttpRequest(method, self._base + path, headers, body), redirects=0)
            if answer.status != OK:
                raise ToolError(f"the search service answered {answer.status}")
            document = answer.json()
        except OutboundError as error:
            raise ToolError(f"the search service {error}") from None
        if not isinstance(document, dict):
            raise ToolError("the search service answered without an object")
        return document

    def _key(self) -> str:
        if self._settings.api_key is None:
            return ""
        try:
            return read_secret(self._settings.api_key)
        except SecretError as error:
            raise ToolError("the search service's key is not there") from error


def _page(entry: dict[str, Any]) -> Passage:
    content = entry.get("content") or entry.get("description") or ""
    return Passage(str(content), str(entry.get("title") or ""), str(entry.get("url") or ""))
