"""Checks answers against clients' JSON schemas, in processes of their own."""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

import orjson

from tandem_orchestrator.engines.schema_worker import CPU_SECONDS
from tandem_orchestrator.engines.structured import FIELD, SCHEMA
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.helper_processes import HelperDiedError, HelperLateError, HelperProcesses, Program

WORKER: Final = "tandem_orchestrator.engines.schema_worker"
MOST: Final = 2  # processes; one tenant has one of them at most
SECONDS: Final = 30.0  # a busy machine may not give it its time at once
MAX_TEXT: Final = 1_048_576  # characters


class Misfit(Exception):
    """A text that is no document which fits; the message says why, in words for the model."""


class SchemaChecks:
    """A tenant whose schemas take long holds up its own checks, and no one else's."""

    def __init__(self) -> None:
        self._processes = HelperProcesses(Program(WORKER, SECONDS), MOST)
        self._turns: WeakValueDictionary[str | None, asyncio.Lock] = WeakValueDictionary()
        self.close = self._processes.close
        """Ends all processes."""

    async def look(self, schema: bytes, tenant: str | None) -> None:
        """Raise `BadRequest` where `schema` cannot be used."""
        await self._ask({"schema": orjson.Fragment(schema)}, tenant)

    async def document(self, schema: bytes, text: str, tenant: str | None) -> str:
        """Return the document that `text` is, without a code fence around it. Raises `Misfit`, `BadRequest`."""
        if len(text) > MAX_TEXT:
            raise Misfit(f"it has more than {MAX_TEXT} characters")
        kind, body = await self._ask({"schema": orjson.Fragment(schema), "text": text}, tenant)
        if kind == b"fails":
            raise Misfit(body)
        return body

    async def _ask(self, question: dict[str, object], tenant: str | None) -> tuple[bytes, str]:
        async with self._turns.setdefault(tenant, asyncio.Lock()):
            try:
                kind, body = await self._processes.ask(question)
            except HelperLateError:
                raise _refused(f"takes longer than {CPU_SECONDS:g} s to check; make it simpler") from None
            except HelperDiedError:
                raise _refused("takes more memory to check than it may have; make it simpler") from None
        if kind == b"refused":
            raise _refused(f"is no JSON schema that can be used: {body.decode()}")
        return kind, body.decode()


def _refused(why: str) -> BadRequest:
    return BadRequest(f"`{SCHEMA}` {why}", param=FIELD, code="invalid_schema")
