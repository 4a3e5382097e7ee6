"""Has a model make a search query of what somebody asked."""

from typing import Final

import structlog

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.question import LONGEST_QUERY

MOST_TOKENS: Final = 64
INSTRUCTIONS: Final = (
    "Turn the user's message into one short query for a search in documents: the words that the answer must be about, "
    "without greetings, without filler. Reply with the query alone."
)
NOT_KEPT: Final = [(b"cache-control", b"no-store")]  # or the search would tell whether its query was found in a cache

log = structlog.get_logger()


class Rewriter:
    """Asks the default model of the service."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator

    async def rewritten(self, query: str, principal: Principal, record: Record) -> str:
        """Return a query for a search, or what was asked where no model makes one of it."""
        payload = {
            "model": self._generator.default_model,
            "messages": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": query}],
            "max_tokens": MOST_TOKENS,
            "temperature": 0,
            "tool_choice": "none",
        }
        request = Request(ENDPOINTS[CHAT], payload, self._generator.default_model, stream=False)
        request.ours = True
        try:
            _, answer = await self._generator.whole(request, principal, record, NOT_KEPT)
            said = answer["choices"][0]["message"]["content"]
        except GatewayError as error:
            log.warning("a query could not be rewritten", problem=error.message)
            return query
        except (KeyError, IndexError, TypeError):
            return query
        return said.strip()[:LONGEST_QUERY] or query if isinstance(said, str) else query
