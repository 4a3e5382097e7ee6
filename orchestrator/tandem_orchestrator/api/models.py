"""GET /v1/models: what can be asked for, also while an engine is down."""

from typing import Any

from fastapi import APIRouter

from tandem_orchestrator.api.access import BOTH, Known
from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.errors import UnknownModel

router = APIRouter(
    prefix="/v1",
    tags=["models"],
    dependencies=BOTH,
    responses={401: {"description": "The key is missing or wrong."}},
)


@router.get("/models")
async def models(principal: Known, services: FromApp) -> dict[str, Any]:
    """List the models that the key may use, as OpenAI does; `ready` says whether an engine serves the model now."""
    return {"object": "list", "data": services.catalogue.entries(principal)}


@router.get("/models/{model:path}", responses={404: {"description": "There is no such model."}})
async def model(model: str, principal: Known, services: FromApp) -> dict[str, Any]:
    """Show one model of the list."""
    for entry in services.catalogue.entries(principal):
        if entry["id"] == model:
            return entry
    raise UnknownModel(f"the model {model!r} does not exist here", param="model")
