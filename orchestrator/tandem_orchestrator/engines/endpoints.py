"""The endpoints of OpenAI's API that engines answer, and what differs between them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path that takes a POST."""

    path: str
    asks: str
    """Field that a request must have."""
    answers: str
    """Field of a whole answer, a list with at least one object."""
    chat: bool = False
    """Requests are conversations: they have messages, a system prompt, tools."""
    generates: bool = True
    """Answers are made of tokens: they can be streamed and bounded."""


CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
RERANK: Final = "/v1/rerank"
RESPONSES: Final = "/v1/responses"

ENDPOINTS: Final = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint(CHAT, "messages", "choices", chat=True),
        Endpoint(COMPLETIONS, "prompt", "choices"),
        Endpoint(EMBEDDINGS, "input", "data", generates=False),
    )
}
"""Those whose requests go on to an engine."""
ASKED: Final = {
    **ENDPOINTS,
    RERANK: Endpoint(RERANK, "query", "results", generates=False),
    RESPONSES: Endpoint(RESPONSES, "input", "output"),
}
"""Those that engines are asked."""
