"""Structured output of engines that have none: they are told the schema, and asked again where the answer misses it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from tandem_orchestrator.engines.schema_checks import Misfit, SchemaChecks
from tandem_orchestrator.engines.structured import Structured, put, said_in, together
from tandem_orchestrator.errors import Unfit
from tandem_orchestrator.observability.metrics import STRUCTURED_OUTPUTS

VALID: Final = "valid"
CORRECTED: Final = "corrected"
INVALID: Final = "invalid"

Json = dict[str, Any]
Ask = Callable[[bytes], Awaitable[tuple[bytes, Json]]]
"""One pass of the engine, by its body."""


class Corrector:
    """Makes answers fit."""

    def __init__(self) -> None:
        self._checks = SchemaChecks()
        self.close = self._checks.close
        """Ends the processes that check."""

    async def whole(self, asked: Structured, ask: Ask, model: str, tenant: str | None) -> tuple[bytes, Json]:
        """Return an answer that fits, or one that says itself why it does not: its JSON, and the same read.

        `model` is a metric label. Raises `GatewayError`, `Unfit` after two answers that do not fit.
        """
        await self._checks.look(asked.schema, tenant)
        _, answer = await ask(asked.first())
        outcome = VALID
        try:
            await self._fit(asked, answer, tenant)
        except Misfit as misfit:
            answer = await self._second(asked, ask, answer, misfit)
            outcome = CORRECTED
            try:
                await self._fit(asked, answer, tenant)
            except Misfit as still:
                STRUCTURED_OUTPUTS.labels(model, INVALID).inc()
                raise Unfit(
                    f"the model's answer does not fit the JSON schema, nor did the one before: {still}"
                ) from None
        STRUCTURED_OUTPUTS.labels(model, outcome).inc()
        return orjson.dumps(answer), answer

    async def _fit(self, asked: Structured, answer: Json, tenant: str | None) -> None:
        said = said_in(answer)
        if said is not None:
            put(answer, await self._checks.document(asked.schema, said, tenant))

    async def _second(self, asked: Structured, ask: Ask, before: Json, misfit: Misfit) -> Json:
        _, answer = await ask(asked.second(said_in(before) or "", str(misfit)))
        answer["usage"] = together(before.get("usage"), answer.get("usage"))
        return answer


async def beside[T](work: Awaitable[T], heartbeat: Callable[[], Awaitable[None]] | None, seconds: float) -> T:
    """Return what comes of `work`, and await `heartbeat` every `seconds` until then."""
    if heartbeat is None:
        return await work
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=seconds))[0]:
            await heartbeat()
    finally:  # also where the client has left: what was begun is counted before that is noted
        task.cancel()
        await asyncio.wait({task})
    return task.result()
