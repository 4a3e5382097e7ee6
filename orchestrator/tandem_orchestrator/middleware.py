"""What stands around the whole application where the configuration asks for it."""

from collections.abc import Awaitable
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from tandem_contract.config import Server

from tandem_orchestrator.api.access import at_metrics_port
from tandem_orchestrator.error_shape import told
from tandem_orchestrator.errors import GatewayError, NotFound, UntrustedHost, send_error
from tandem_orchestrator.observability.record import record_of

ASKED: Final = ("http", "websocket")  # of ASGI's scopes, those that a client sends; origins of the second: `Sockets`
METRICS: Final = "/metrics"
HEALTH: Final = frozenset({"/live", "/ready", "/health", METRICS})
EXPOSED: Final = (
    "x-request-id",
    "retry-after",
    *(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")),
)


def guarded(app: ASGIApp, settings: Server) -> ASGIApp:
    """Return `app` behind the checks of hosts and origins; one that is not configured costs nothing."""
    if settings.trusted_hosts:
        app = _TrustedHosts(app, settings.trusted_hosts)
    if settings.cors.allow_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors.allow_origins,
            allow_methods=["*"],
            allow_headers=settings.cors.allow_headers,
            expose_headers=EXPOSED,
            max_age=int(settings.cors.max_age_seconds),
        )
    if settings.metrics_port is not None:
        app = _TwoPorts(app, settings)
    return app


class _TwoPorts:
    """Keeps the API away from the port for metrics, and metrics from the API's."""

    def __init__(self, app: ASGIApp, settings: Server) -> None:
        self._app = app
        self._settings = settings

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """ASGI."""
        if scope["type"] in ASKED:
            path, inside = scope["path"], at_metrics_port(scope, self._settings)
            if path not in HEALTH if inside else path == METRICS:
                return _refuse(scope, send, NotFound(f"there is nothing under {path} at this port"))
        return self._app(scope, receive, send)


class _TrustedHosts:
    """Refuses other `Host` headers than those; health is asked by kubelets, which call pods by their addresses."""

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self._app = app
        self._all = "*" in hosts
        self._names = frozenset(host.lower() for host in hosts)
        self._endings = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] in ASKED and scope["path"] not in HEALTH and not self._trusts(host := _host(scope)):
            error = UntrustedHost(
                f"the host {host!r} is not served here; the hosts that are stand in server.trustedHosts"
                if host
                else "the request has no Host header, and only the hosts in server.trustedHosts are served"
            )
            await _refuse(scope, send, error)
        else:
            await self._app(scope, receive, send)

    def _trusts(self, host: str) -> bool:
        return self._all or host in self._names or host.endswith(self._endings)


async def _refuse(scope: Scope, send: Send, error: GatewayError) -> None:
    record_of(scope).error = str(error.code)
    await send_error(send, told(error, scope))


def _host(scope: Scope) -> str:
    """Return the host that the client named, without its port."""
    value = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    name, colon, port = value.rpartition(":")
    return name if colon and port.isdecimal() else value
