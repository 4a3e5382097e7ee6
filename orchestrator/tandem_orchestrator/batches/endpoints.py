"""The endpoints whose requests batches may hold, and how each is answered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.engines import endpoints
from tandem_orchestrator.engines.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, RESPONSES
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.request import checked
from tandem_orchestrator.responses.asker import Asker
from tandem_orchestrator.responses.preparation import Preparation
from tandem_orchestrator.responses.service import Responses


@dataclass(frozen=True, slots=True)
class Makers:
    """What answers requests under the present configuration."""

    config: OrchestratorConfig
    generator: Generator
    preparation: Preparation
    responses: Responses


Make = Callable[[Makers, dict[str, Any], Asker], Awaitable[bytes]]
"""Answers a request's body, in JSON; raises `GatewayError`."""


async def _of_engine(path: str, makers: Makers, body: dict[str, Any], asker: Asker) -> bytes:
    request = checked(endpoints.ENDPOINTS[path], body)
    answer, _ = await makers.generator.whole(request, asker.principal, asker.record, asker.headers)
    return answer


async def _response(makers: Makers, body: dict[str, Any], asker: Asker) -> bytes:
    if body.get("store") is None:
        body = body | {"store": False}
    create = makers.preparation.create(body)
    if create.background:
        raise BadRequest("`background` is for requests that somebody could wait for", param="background")
    return await makers.responses.whole(create, asker)


ENDPOINTS: Final[Mapping[str, Make]] = {
    CHAT: partial(_of_engine, CHAT),
    COMPLETIONS: partial(_of_engine, COMPLETIONS),
    EMBEDDINGS: partial(_of_engine, EMBEDDINGS),
    RESPONSES: _response,
}
