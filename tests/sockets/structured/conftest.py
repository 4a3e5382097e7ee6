from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tandem_contract.config import StructuredOutputs, UpstreamType

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import Orchestrator, config_for

Start = Callable[..., Awaitable[Orchestrator]]
COUNTED = "tandem_structured_outputs_total"
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
FITS = '{"name": "Ada", "age": 36}'
MISSES = '{"name": "Ada", "age": "many"}'


def by_schema(schema: Any, **fields: Any) -> dict[str, Any]:
    """A `response_format`."""
    return {"type": "json_schema", "json_schema": {"name": "asked", "schema": schema, **fields}}


class WithoutSchemas(EngineDouble):
    """A server that has no structured output, and refuses whoever asks for it."""

    def __init__(self, model: str = "double") -> None:
        super().__init__(model)
        self.rule = self._plain

    def says(self, *texts: str) -> None:
        """Answers the next requests so."""
        self._texts = list(texts)

    def _plain(self, request: dict[str, Any]) -> Reply:
        if request.keys() & {"response_format", "stream"}:
            return Reply(status=400, error={"error": {"message": "unknown field", "type": "BadRequestError"}})
        return Reply(self._texts.pop(0))


@pytest.fixture
async def engine():
    async with WithoutSchemas() as double:
        yield double


@pytest.fixture
def start(serve, engine) -> Start:
    """Starts an orchestrator whose engine has no structured output, with these settings, and engines beside it."""

    async def started(*others: EngineDouble, **settings: Any) -> Orchestrator:
        config = config_for(engine, *others, **settings)
        kind = {"type": UpstreamType.OPENAI, "structured_outputs": StructuredOutputs.CORRECTED}
        upstreams = [config.upstreams[0].model_copy(update=kind), *config.upstreams[1:]]
        return await serve(config.model_copy(update={"upstreams": upstreams}))

    return started
