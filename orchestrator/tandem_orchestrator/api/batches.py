"""/v1/batches: requests in a file that are made in the background, as in OpenAI's API."""

from typing import Any

from fastapi import APIRouter

from tandem_orchestrator.api.access import BOTH, Known
from tandem_orchestrator.api.bodies import NewBatch
from tandem_orchestrator.api.json_body import StrictJson
from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.api.wanted import Wanted

router = APIRouter(
    prefix="/v1/batches",
    tags=["batches"],
    route_class=StrictJson,
    dependencies=BOTH,
    responses={
        400: {"description": "The batch cannot be made so."},
        401: {"description": "The key is missing or wrong."},
        404: {"description": "There is no such batch, or no such file."},
        429: {"description": "The tenant has too many unfinished batches."},
        503: {"description": "The database does not answer."},
    },
)


@router.post("")
async def create(services: FromApp, principal: Known, body: NewBatch) -> dict[str, Any]:
    """Begin a batch of the requests in `input_file_id`."""
    return await services.desk.batches.create(principal, body, services.config)


@router.get("")
async def batches(services: FromApp, principal: Known, page: Wanted) -> dict[str, Any]:
    """List batches, the newest first."""
    return await services.desk.batches.page(principal.tenant, page)


@router.get("/{batch_id}")
async def batch(batch_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Show a batch."""
    return await services.desk.batches.get(principal.tenant, batch_id)


@router.post("/{batch_id}/cancel")
async def cancel(batch_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """End a batch; what its lines have given until then is kept in its files."""
    return await services.desk.batches.cancel(principal.tenant, batch_id)
