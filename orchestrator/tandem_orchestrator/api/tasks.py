"""GET /v1/tasks: what there is to be asked for. The tasks themselves are answered on the hot path."""

from typing import Any

from fastapi import APIRouter

from tandem_orchestrator.api.access import BOTH, Known
from tandem_orchestrator.api.services import FromApp

router = APIRouter(
    prefix="/v1/tasks",
    tags=["tasks"],
    dependencies=BOTH,
    responses={401: {"description": "The key is missing or wrong."}},
)


@router.get("")
async def tasks(principal: Known, services: FromApp) -> dict[str, Any]:
    """List the tasks that the key may use, with their versions, each with its weight and its schemas."""
    return {"object": "list", "data": services.tasks.shown(principal)}


@router.get("/{task}", responses={404: {"description": "There is no such task."}})
async def shown_task(task: str, principal: Known, services: FromApp) -> dict[str, Any]:
    """Show one task of the list."""
    for shown in services.tasks.shown(principal):
        if shown["name"] == task:
            return shown
    raise services.tasks.unknown(task, principal)


@router.post("/{task}", include_in_schema=False)
async def unknown_task(task: str, principal: Known, services: FromApp) -> None:
    """Say which tasks there are."""
    raise services.tasks.unknown(task, principal)
