"""Keeps a chat within what its engine takes: counts it, and cuts whole turns where that is allowed."""

from typing import Any

from tandem_orchestrator.engines.dispatch import Call
from tandem_orchestrator.errors import BadRequest, Refused
from tandem_orchestrator.gateway.context import TOO_LONG_CODE, count_tokens, is_too_long, told_tokens
from tandem_orchestrator.gateway.generate import Generator

Message = dict[str, Any]


def turns(messages: list[Message]) -> list[list[Message]]:
    """Return the turns of a chat without its instructions: what a user said, and all up to what one says next."""
    found: list[list[Message]] = []
    for message in messages:
        if message["role"] == "system" and not found:
            continue
        if message["role"] == "user" or not found:
            found.append([])
        found[-1].append(message)
    return found


def without_first(messages: list[Message], number: int) -> list[Message]:
    """Return a chat without its first `number` turns."""
    first = sum(len(turn) for turn in turns(messages))
    instructions = messages[: len(messages) - first]
    return [*instructions, *(message for turn in turns(messages)[number:] for message in turn)]


class Context:
    """Counts the tokens of chats for one call."""

    def __init__(self, generator: Generator, call: Call) -> None:
        self._generator = generator
        self._call = call

    async def count(self, payload: dict[str, Any]) -> int:
        """Return how many tokens a chat is. Raises `GatewayError`."""
        return await count_tokens(self._generator.engines, self._call, payload)

    async def excess(self, payload: dict[str, Any]) -> int | None:
        """Return by how many tokens a chat with its answer is too long; None where the engine does not tell."""
        told = await told_tokens(self._generator.engines, self._call, payload)
        if told is None:
            return None
        found, most = told
        return found + (payload.get("max_tokens") or payload.get("max_completion_tokens") or 1) - most

    async def cut(self, payload: dict[str, Any]) -> int:
        """Take the oldest turns out of `payload` until it fits; return how many. Raises `GatewayError`.

        At least the last one stays. Asks the engine a number of times that grows with the logarithm of the turns.
        """
        messages = payload["messages"]
        least, most = 1, len(turns(messages)) - 1
        if most < 1 or await self._is_long(payload, messages, most):
            raise too_long(await self.excess({**payload, "messages": without_first(messages, max(most, 0))}))
        while least < most:
            middle = (least + most) // 2
            if await self._is_long(payload, messages, middle):
                least = middle + 1
            else:
                most = middle
        payload["messages"] = without_first(messages, most)
        return most

    async def _is_long(self, payload: dict[str, Any], messages: list[Message], number: int) -> bool:
        asked = {**payload, "messages": without_first(messages, number)}
        excess = await self.excess(asked)
        if excess is not None:
            return excess > 0
        try:
            await self.count(asked)
        except Refused as error:
            if not is_too_long(error):
                raise
            return True
        return False


def too_long(excess: int | None, engine: str = "") -> BadRequest:
    """Return the error for a chat that its engine's context does not hold."""
    by = f"{excess} tokens " if excess is not None and excess > 0 else ""
    said = f" (the engine: {engine})" if engine else ""
    return BadRequest(
        f"the input with its answer is {by}too long for the model; send less, lower `max_output_tokens`, or let "
        f'`"truncation": "auto"` take out the oldest turns{said}',
        param="input",
        code=TOO_LONG_CODE,
    )
