"""Health: /live for the process, /ready for traffic, /health for people, /metrics for Prometheus.

Without a key only the state is told, unless at `server.metricsPort`.
"""

import asyncio
from importlib.metadata import version
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST

from tandem_orchestrator.api.access import BOTH, Insider
from tandem_orchestrator.api.services import FromApp, Services
from tandem_orchestrator.errors import NotFound, Unauthorized
from tandem_orchestrator.observability.outcomes import outcomes
from tandem_orchestrator.observability.prometheus import exposition

router = APIRouter(tags=["health"])
UNAVAILABLE: Final = 503
VERSION: Final = version("tandem-orchestrator")
ToVerify = Annotated[
    frozenset[str], Query(description="Upstreams of which it is told, once for each start, whether they call tools")
]


@router.get("/live")
async def live() -> dict[str, str]:
    """Answer 200 as long as the process lives."""
    return {"status": "ok"}


@router.get("/ready", dependencies=BOTH)
async def ready(
    services: FromApp, insider: Insider, response: Response, tool_calling: ToVerify = frozenset()
) -> dict[str, Any]:
    """Answer 200 when requests may come; an engine that is down only appears as degraded.

    All replicas share the engines: were each to fail because of one, the Service would have nobody left to answer.
    """
    details = await _details(services) if insider else {}
    if insider and tool_calling:
        details["tool_calling"] = await services.tool_calling.ask(tool_calling)
    if services.state.draining or not all(part.checked for part in services.parts):
        response.status_code = UNAVAILABLE
        return {"status": "draining" if services.state.draining else "starting", **details}
    return {"status": "ready", **details}


@router.get("/health", dependencies=BOTH)
async def health(services: FromApp, insider: Insider) -> dict[str, Any]:
    """Show the state of the service and its engines; `status` is `degraded` while a part does not do what it should."""
    upstreams, problems = services.upstreams, _problems(services)
    status = {"status": "degraded" if problems else "ok"}
    if not insider:
        return status
    return {
        **status,
        "version": VERSION,
        "authentication": services.keys.authentication,
        "problems": problems,
        "limitations": _limitations(services),
        "needs_restart": services.state.needs_restart,
        "backend": upstreams.offered[0].url,
        "model": upstreams.default_model,
        "tools": sorted(services.toolbox.names),
        "upstreams": [upstream.state() for upstream in upstreams.all],
    }


async def _details(services: Services) -> dict[str, Any]:
    """Return what the operator reads."""
    upstreams = [upstream.name for upstream in services.upstreams.all]
    return {
        "degraded": _problems(services),
        "limitations": _limitations(services),
        "kv_tokens": {
            upstream.name: min(told)
            for upstream in services.upstreams.all
            if (told := [replica.kv_tokens for replica in upstream.replicas if replica.kv_tokens is not None])
        },
        "at_work": [told for upstream in services.upstreams.all for told in upstream.at_work()],
        "outcomes": await asyncio.to_thread(outcomes, upstreams),
    }


def _problems(services: Services) -> list[str]:
    """Return a line for each part that does not do what it should."""
    refused = [f"configuration: {problem}; the one before stays in force" for problem in services.state.refused]
    return [
        *(problem for part in services.parts for problem in part.problems),
        *services.toolbox.degraded(),
        *refused,
    ]


def _limitations(services: Services) -> list[str]:
    """Return a line for each thing that cannot be done here though nothing is amiss."""
    return [limitation for part in services.parts for limitation in part.limitations]


@router.get("/metrics", include_in_schema=False)
async def metrics(services: FromApp, insider: Insider) -> Response:
    """Show the metrics of all workers in Prometheus' text format; made in a thread, since it takes milliseconds."""
    if not services.config.standalone.metrics:
        raise NotFound("metrics are turned off here (standalone.metrics)")
    if not insider:
        raise Unauthorized("metrics need a key here; without one they are told at server.metricsPort, if that is set")
    return Response(await asyncio.to_thread(exposition), media_type=CONTENT_TYPE_LATEST)
