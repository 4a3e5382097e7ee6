"""Errors of the endpoints that FastAPI serves: in OpenAI's shape, but for /chat, which answers as FastAPI does."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
from fastapi import Request
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from tandem_orchestrator.error_shape import told
from tandem_orchestrator.errors import BadRequest, ClientLeft, GatewayError, InternalError, NotFound, WrongMethod
from tandem_orchestrator.observability.record import CLIENT_LEFT, record_of

SIMPLE: Final = "/chat"
NO_SUCH_PATH: Final = 404
OTHER_METHOD: Final = 405
INVALID: Final = 422
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

log = structlog.get_logger()


async def _gateway_error(request: Request, error: GatewayError) -> Response:
    record_of(request.scope).error = str(error.code or error.type)
    error = told(error, request.scope)
    headers = {name.decode(): value.decode("latin-1") for name, value in error.headers}
    if request.scope["path"] == SIMPLE:
        return await http_exception_handler(request, HTTPException(error.status, error.message, headers))
    return Response(error.body(), error.status, headers, media_type="application/json")


async def _http_error(request: Request, error: HTTPException) -> Response:
    if request.scope["path"] == SIMPLE:
        return await http_exception_handler(request, error)
    return await _gateway_error(request, _refusal(request, error))


def _refusal(request: Request, error: HTTPException) -> GatewayError:
    method, path = request.method, request.scope["path"]
    if isinstance(error.__cause__, GatewayError):
        return error.__cause__
    if error.status_code == NO_SUCH_PATH:
        return NotFound(f"there is nothing under {path}; /docs lists what there is")
    if error.status_code == OTHER_METHOD:
        allowed = ", ".join(_methods(request))
        return WrongMethod(f"{path} takes {allowed}, not {method}", allowed=allowed)
    refusal = BadRequest(f"{method} {path}: {error.detail}")
    refusal.status = error.status_code
    return refusal


def _methods(request: Request) -> list[str]:
    """Return those that any route of the path takes; the error itself knows of one route alone."""
    found = []
    for method in METHODS:
        scope = {**request.scope, "method": method}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            found.append(method)
    return found


async def _invalid(request: Request, error: RequestValidationError) -> Response:
    if request.scope["path"] == SIMPLE:
        for problem in error.errors():
            problem.pop("input", None)  # it may be the whole body
        return await request_validation_exception_handler(request, error)
    problems = [(".".join(map(str, problem["loc"][1:])), problem["msg"]) for problem in error.errors()]
    text = "; ".join(f"{field or 'the request body'}: {message}" for field, message in problems)
    refusal = BadRequest(text, param=problems[0][0] or None)
    refusal.status = INVALID
    return await _gateway_error(request, refusal)


async def _defect(request: Request, error: Exception) -> Response:
    log.error("request failed", request_id=record_of(request.scope).request_id, exc_info=error)
    return await _gateway_error(request, InternalError())


async def _left(request: Request, _: ClientLeft) -> Response:
    record_of(request.scope).status = CLIENT_LEFT
    return Response(status_code=CLIENT_LEFT)  # which nobody gets


HANDLERS: Final[dict[type[Exception], Callable[[Request, Any], Coroutine[Any, Any, Response]]]] = {
    GatewayError: _gateway_error,
    ClientLeft: _left,
    HTTPException: _http_error,
    RequestValidationError: _invalid,
    Exception: _defect,
}
