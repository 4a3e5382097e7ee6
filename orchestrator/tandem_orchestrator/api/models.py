"""GET /v1/models: what can be asked for, also while an engine is down."""

from typing import Any

from fastapi import APIRouter, Request

from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.errors import UnknownModel
from tandem_orchestrator.observability.record import record_of

router = APIRouter(prefix="/v1", tags=["models"])


@router.get("/models")
async def models(request: Request, services: FromApp) -> dict[str, Any]:
    """OpenAI's list of the models that the key may use; `ready` says whether an engine serves the model now."""
    principal = services.admission.identify(request.scope["headers"], record_of(request.scope))
    return {"object": "list", "data": services.catalogue.entries(principal.models)}


@router.get("/models/{model:path}")
async def model(model: str, request: Request, services: FromApp) -> dict[str, Any]:
    """One model of the list."""
    principal = services.admission.identify(request.scope["headers"], record_of(request.scope))
    for entry in services.catalogue.entries(principal.models):
        if entry["id"] == model:
            return entry
    raise UnknownModel(f"the model {model!r} does not exist here", param="model")
