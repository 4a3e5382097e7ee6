"""JSON in the bodies that FastAPI reads, taken as the hot path takes it."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from tandem_orchestrator.gateway.request import json_object

if TYPE_CHECKING:
    from tandem_orchestrator.api.services import Services

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictJson(APIRoute):
    """Refuses what Python's own parser lets through, and no database or answer can hold.

    NaN, Infinity, halves of surrogate pairs and endless nesting; a number of more than 64 bits is a float.
    """

    def get_route_handler(self) -> Handler:
        """Return what answers the request."""
        handle = super().get_route_handler()

        async def read(request: Request) -> Response:
            return await handle(_Request(request.scope, request.receive))

        return read


class _Request(Request):
    async def json(self) -> Any:
        """Return the object in the body. Raises `BadRequest`."""
        services: Services = self.app.state.services
        return json_object(await self.body(), services.config.limits.max_depth)
