"""Keys on the endpoints that FastAPI serves."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer

from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.observability.record import record_of

BEARER = HTTPBearer(auto_error=False, description="Authorization: Bearer KEY")
HEADER = APIKeyHeader(name="X-API-Key", auto_error=False, description="The same key in a header of its own")
BOTH = [Security(BEARER), Security(HEADER)]  # either will do; they only document it, the keys read the headers


async def _known(request: Request, services: FromApp) -> Principal:
    return services.admission.identify(request.headers.raw, record_of(request.scope))


async def _admitted(request: Request, services: FromApp) -> AsyncIterator[Principal]:
    record = record_of(request.scope)
    principal, ticket = services.admission.admit(request.headers.raw, record)
    try:
        yield principal
    finally:
        ticket.settle(record.prompt_tokens + record.completion_tokens)


Known = Annotated[Principal, Depends(_known)]
"""Whoever asks; raises `Unauthorized`."""
Admitted = Annotated[Principal, Depends(_admitted)]
"""The same, and counted against the limits; raises `LimitExceeded` too."""
