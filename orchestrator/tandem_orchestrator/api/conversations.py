"""/v1/conversations: what a tenant's agents and users said to each other, item by item, as in OpenAI's API."""

from typing import Any

from fastapi import APIRouter

from tandem_orchestrator.api.access import BOTH, Known
from tandem_orchestrator.api.bodies import ConversationChange, NewConversation, NewItems
from tandem_orchestrator.api.json_body import StrictJson
from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.api.wanted import Included, Wanted
from tandem_orchestrator.responses.items import shown

router = APIRouter(
    prefix="/v1/conversations",
    tags=["conversations"],
    route_class=StrictJson,
    dependencies=BOTH,
    responses={
        400: {"description": "A field cannot be used; `param` names it."},
        401: {"description": "The key is missing or wrong."},
        404: {"description": "There is no such conversation, or no such item in it."},
        503: {"description": "The database does not answer."},
    },
)


@router.post("")
async def create(services: FromApp, principal: Known, body: NewConversation = None) -> dict[str, Any]:
    """Begin a conversation, with `items` and `metadata` where they are given."""
    return await services.stores.conversations.create(principal.tenant, body or {})


@router.get("/{conversation_id}")
async def conversation(conversation_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Show a conversation."""
    return await services.stores.conversations.get(principal.tenant, conversation_id)


@router.post("/{conversation_id}")
async def update(conversation_id: str, services: FromApp, principal: Known, body: ConversationChange) -> dict[str, Any]:
    """Put other metadata in the place of a conversation's."""
    return await services.stores.conversations.update(principal.tenant, conversation_id, body)


@router.delete("/{conversation_id}")
async def delete(conversation_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Delete a conversation with its items. Responses in it stay."""
    await services.stores.conversations.delete(principal.tenant, conversation_id)
    return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}


@router.post("/{conversation_id}/items")
async def add_items(conversation_id: str, services: FromApp, principal: Known, body: NewItems) -> dict[str, Any]:
    """Add up to 20 items to a conversation's end."""
    return await services.stores.conversations.add_items(principal.tenant, conversation_id, body)


@router.get("/{conversation_id}/items")
async def items(
    conversation_id: str,
    services: FromApp,
    principal: Known,
    page: Wanted,
    include: Included,
) -> dict[str, Any]:
    """List a conversation's items, the newest first."""
    found = await services.stores.conversations.page(principal.tenant, conversation_id, page)
    return {**found, "data": [shown(item, include) for item in found["data"]]}


@router.get("/{conversation_id}/items/{item_id}")
async def item(
    conversation_id: str, item_id: str, services: FromApp, principal: Known, include: Included
) -> dict[str, Any]:
    """Show an item."""
    return shown(await services.stores.conversations.item(principal.tenant, conversation_id, item_id), include)


@router.delete("/{conversation_id}/items/{item_id}")
async def delete_item(conversation_id: str, item_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Delete an item, and show the conversation."""
    await services.stores.conversations.delete_item(principal.tenant, conversation_id, item_id)
    return await services.stores.conversations.get(principal.tenant, conversation_id)
