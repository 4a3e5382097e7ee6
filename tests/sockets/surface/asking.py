"""One request to each endpoint, and what its answer says."""

from typing import Any

from tests.engine_double import Reply
from tests.sockets.running import QUESTION, Orchestrator

CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"messages": QUESTION},
    COMPLETIONS: {"prompt": "Hello"},
    EMBEDDINGS: {"input": ["Hello", "Good bye"]},
}
CALLS = [(CHAT, False), (CHAT, True), (COMPLETIONS, False), (COMPLETIONS, True), (EMBEDDINGS, False)]
BLOCKING = [(path, stream) for path, stream in CALLS if not stream]
STREAMS = [(path, stream) for path, stream in CALLS if stream]
USED = {CHAT: (7, 14), COMPLETIONS: (7, 14), EMBEDDINGS: (14, 0)}
TEXT = Reply().text


def asked(path: str, *, stream: bool = False, **fields: Any) -> dict[str, Any]:
    return {"model": "double", **ASKED[path], **({"stream": True} if stream else {}), **fields}


async def error_of(orchestrator: Orchestrator, path: str, **fields: Any) -> tuple[int, Any]:
    """Status and OpenAI's error object of a request that fails before its first byte."""
    async with orchestrator.client.post(path, json=asked(path, **fields)) as response:
        error = (await response.json())["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return response.status, error
