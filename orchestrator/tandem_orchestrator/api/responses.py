"""/v1/responses/{id} and what hangs on it: stored responses, as in OpenAI's API."""

from typing import Any

import orjson
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from tandem_orchestrator.api.access import BOTH, Known
from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.api.wanted import Followed, Included, Wanted
from tandem_orchestrator.responses.items import shown
from tandem_orchestrator.responses.reader import with_done
from tandem_orchestrator.store.page import page_of

JSON = "application/json"
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}

router = APIRouter(
    prefix="/v1/responses",
    tags=["responses"],
    dependencies=BOTH,
    responses={
        400: {"description": "The response cannot be had so."},
        401: {"description": "The key is missing or wrong."},
        404: {"description": "There is no such response."},
        503: {"description": "The database does not answer."},
    },
)


@router.get("/{response_id}")
async def response(
    response_id: str,
    services: FromApp,
    principal: Known,
    include: Included,
    followed: Followed,
) -> Response:
    """Show a response, or with `stream` its events after number `starting_after`, as they come."""
    if followed.stream:
        await services.stores.reader.check(principal.tenant, response_id)
        events = services.stores.reader.events(principal.tenant, response_id, followed.after)
        return StreamingResponse(with_done(events), headers=STREAM_HEADERS, media_type="text/event-stream")
    stored = await services.stores.responses.get(principal.tenant, response_id)
    return Response(stored.whole(include), media_type=JSON)


@router.post("/{response_id}/cancel")
async def cancel(response_id: str, services: FromApp, principal: Known) -> Response:
    """End a response that is made in the background; one that has ended stays as it is."""
    stored = await services.stores.queue.cancel(principal.tenant, response_id, services.stores.responses)
    return Response(stored.whole(), media_type=JSON)


@router.delete("/{response_id}")
async def delete(response_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Delete a response. What others continue is kept for them, until they are deleted too."""
    await services.stores.responses.delete(principal.tenant, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.get("/{response_id}/input_items")
async def input_items(
    response_id: str,
    services: FromApp,
    principal: Known,
    page: Wanted,
    include: Included,
) -> dict[str, Any]:
    """List what a response was given, the newest first."""
    stored = await services.stores.responses.get(principal.tenant, response_id)
    return page_of([shown(item, include) for item in orjson.loads(stored.input)], page)
