"""What stands around the whole application where the configuration asks for it."""

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send
from tandem_contract.config import Server

HEALTH = frozenset({"/live", "/ready", "/health", "/metrics"})
METHODS = ("GET", "POST", "DELETE")
EXPOSED = (
    "x-request-id",
    "retry-after",
    *(f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")),
)


def guarded(app: ASGIApp, settings: Server) -> ASGIApp:
    """`app` behind the checks of hosts and origins that are configured; each costs nothing when it is not."""
    if settings.trusted_hosts:
        app = _TrustedHosts(app, settings.trusted_hosts)
    if settings.cors.allow_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.cors.allow_origins,
            allow_methods=METHODS,
            allow_headers=settings.cors.allow_headers,
            expose_headers=EXPOSED,
            max_age=int(settings.cors.max_age_seconds),
        )
    return app


class _TrustedHosts:
    """Refuses other `Host` headers than those; health is asked by kubelets, which call pods by their addresses."""

    def __init__(self, app: ASGIApp, hosts: list[str]) -> None:
        self._app = app
        self._checked = TrustedHostMiddleware(app, hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        app = self._app if scope.get("path") in HEALTH else self._checked
        await app(scope, receive, send)
