"""Keys on the endpoints that FastAPI serves."""

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.types import Scope
from tandem_contract.config import Server

from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.observability.record import record_of

BEARER: Final = HTTPBearer(auto_error=False, description="Authorization: Bearer KEY")
HEADER: Final = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same key in a header of its own")
BOTH: Final = [Security(BEARER), Security(HEADER)]  # either will do; they only document it, the keys read the headers


def at_metrics_port(scope: Scope, settings: Server) -> bool:
    """Return whether the request came to the port that only those reach who run the service."""
    return settings.metrics_port is not None and scope["server"][1] == settings.metrics_port


async def _insider(request: Request, services: FromApp) -> bool:
    if at_metrics_port(request.scope, services.config.server):
        return True
    return services.keys.know(request.headers.raw)


async def _known(request: Request, services: FromApp) -> Principal:
    return services.admission.identify(request.headers.raw, record_of(request.scope))


async def _admitted(request: Request, services: FromApp) -> AsyncIterator[Principal]:
    record = record_of(request.scope)
    principal, ticket = services.admission.admit(request.headers.raw, record)
    try:
        yield principal
    finally:
        ticket.settle(record.prompt_tokens + record.completion_tokens)


Insider = Annotated[bool, Depends(_insider)]
"""Whether whoever asks may see how the service is made. Where they call from says nothing: behind a proxy on the same
machine all the world is at 127.0.0.1."""
Known = Annotated[Principal, Depends(_known)]
"""Whoever asks; raises `Unauthorized`."""
Admitted = Annotated[Principal, Depends(_admitted)]
"""The same, and counted against the limits; raises `LimitExceeded` too."""
