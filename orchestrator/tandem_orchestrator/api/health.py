"""Health: /live for the process, /ready for traffic, /health for people, /metrics for Prometheus."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.observability.metrics import exposition

router = APIRouter(tags=["health"])
UNAVAILABLE = 503


@router.get("/live")
async def live() -> dict[str, str]:
    """200 as long as the process answers."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(services: FromApp, response: Response) -> dict[str, Any]:
    """200 when requests may come; an engine that is down only appears as degraded.

    All replicas share the engines: were each to fail because of one, the Service would have nobody left to answer.
    """
    degraded = services.engines.degraded() + services.keys.problems
    if services.state.draining or not (services.engines.checked and services.keys.checked):
        response.status_code = UNAVAILABLE
        return {"status": "draining" if services.state.draining else "starting", "degraded": degraded}
    return {"status": "ready", "degraded": degraded}


@router.get("/health")
async def health(services: FromApp) -> dict[str, Any]:
    """The state of the service and its engines; `status` is `degraded` while one of them does not answer."""
    engines = services.engines
    return {
        "status": "degraded" if engines.degraded() or services.keys.problems else "ok",
        "authentication": services.keys.authentication,
        "problems": services.keys.problems,
        "backend": engines.all[0].url,
        "model": engines.default_model,
        "tools": sorted(services.toolbox.names),
        "engines": [engine.state() for engine in engines.all],
    }


@router.get("/metrics", include_in_schema=False)
async def metrics() -> Response:
    """Prometheus text format."""
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)
