"""Errors of the endpoints under /v1 and /admin in OpenAI's shape; elsewhere FastAPI's own."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from tandem_orchestrator.errors import BadRequest, GatewayError
from tandem_orchestrator.observability.record import record_of


async def _gateway_error(request: Request, error: GatewayError) -> Response:
    record_of(request.scope).error = error.code or error.type
    headers = {name.decode(): value.decode("latin-1") for name, value in error.headers}
    if request.url.path.startswith(("/v1/", "/admin/")):
        return Response(error.body(), error.status, headers, media_type="application/json")
    return await http_exception_handler(request, HTTPException(error.status, error.message, headers))


async def _http_error(request: Request, error: HTTPException) -> Response:
    if not request.url.path.startswith(("/v1/", "/admin/")):
        return await http_exception_handler(request, error)
    refusal = BadRequest(f"{request.method} {request.url.path}: {error.detail}")
    refusal.status = error.status_code
    return Response(refusal.body(), error.status_code, error.headers, media_type="application/json")


HANDLERS: Final[dict[type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]] = {
    GatewayError: _gateway_error,
    HTTPException: _http_error,
}
