"""GET /v1/models: what can be asked for, also while an engine is down; for clients of Anthropic's API in its shape."""

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request

from tandem_orchestrator.api.access import BOTH, Known
from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.error_shape import speaks_anthropic
from tandem_orchestrator.errors import UnknownModel

LATEST: Final = 253_402_300_799  # the last second of the year 9999

router = APIRouter(
    prefix="/v1",
    tags=["models"],
    dependencies=BOTH,
    responses={401: {"description": "The key is missing or wrong."}},
)


@router.get("/models")
async def models(principal: Known, services: FromApp, request: Request) -> dict[str, Any]:
    """List the models that the key may use, as OpenAI does; `ready` says whether an engine serves the model now.

    Whoever sends `anthropic-version` gets the list as Anthropic has it.
    """
    entries = services.catalogue.entries(principal)
    if not speaks_anthropic(request.scope):
        return {"object": "list", "data": entries}
    first, last = (entries[0]["id"], entries[-1]["id"]) if entries else (None, None)
    return {"data": [_as_anthropic(entry) for entry in entries], "has_more": False, "first_id": first, "last_id": last}


@router.get("/models/{model:path}", responses={404: {"description": "There is no such model."}})
async def model(model: str, principal: Known, services: FromApp, request: Request) -> dict[str, Any]:
    """Show one model of the list."""
    for entry in services.catalogue.entries(principal):
        if entry["id"] == model:
            return _as_anthropic(entry) if speaks_anthropic(request.scope) else entry
    raise UnknownModel(f"the model {model!r} does not exist here", param="model")


def _as_anthropic(entry: dict[str, Any]) -> dict[str, Any]:
    created = entry["created"] if isinstance(entry["created"], int) else 0  # an engine's word
    return {
        "type": "model",
        "id": entry["id"],
        "display_name": entry["id"],
        "created_at": datetime.fromtimestamp(min(max(created, 0), LATEST), UTC).isoformat(),
        "lifecycle": "active",
    }
