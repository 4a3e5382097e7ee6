"""Makes what came so far shorter: the model sums it up, and that takes its place."""

from typing import Any, Final

import orjson

from tandem_orchestrator.engines.dispatch import Call
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.generate import Generator

Message = dict[str, Any]

MOST_TOKENS: Final = 2048
ASK: Final = (
    "The conversation so far is about to be replaced by your summary of it. Write down all that is needed to go on "
    "without it: who the user is and what they want, names, figures, decisions, what tools returned, what has been "
    "done and what is still open. Use short sentences and leave out greetings. Answer with the summary alone."
)
BEGINNING: Final = "What was said and done before, summed up:\n"


async def compacted(
    generator: Generator, call: Call, payload: dict[str, Any], instructions: str | None, kept: list[Message]
) -> tuple[list[Message], Any]:
    """Return the messages that take the place of a chat's, and the usage of making them. Raises `GatewayError`.

    `kept` are the last of its messages, which stay as they are. The request's own `instructions` are left out, as they
    come with each request; others that the chat began with stay.
    """
    messages = payload["messages"]
    before = messages[: len(messages) - len(kept)]
    asked = {
        "model": payload["model"],
        "messages": [*before, {"role": "user", "content": ASK}],
        "max_tokens": MOST_TOKENS,
        "stream": False,
    }
    if "cache_salt" in payload:
        asked["cache_salt"] = payload["cache_salt"]
    _, answer = await generator.engines.complete(call, orjson.dumps(asked))
    summary = (answer["choices"][0].get("message") or {}).get("content")
    if not isinstance(summary, str) or not summary.strip():
        raise Malformed("the engine summed up the conversation in no words")
    own = before[0]["content"] if before and before[0]["role"] == "system" else ""
    own = own.removeprefix(instructions or "").strip()
    stays = [own, BEGINNING + summary.strip()] if own else [BEGINNING + summary.strip()]
    return [*({"role": "system", "content": text} for text in stays), *kept], answer.get("usage")
