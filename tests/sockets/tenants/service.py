"""An orchestrator with two tenants, and what they have it keep."""

from contextlib import asynccontextmanager
from typing import Any

import openai
from sqlalchemy import text
from tandem_orchestrator.store.database import Database

from tests.sockets.running import config_for

TABLES = (
    *("responses", "response_runs", "response_events", "conversations", "conversation_items", "stored"),
    *("files", "blobs", "uploads", "upload_parts", "stored_files"),
)
KEYS = ["team-a:key-a", "team-b:key-b"]


def with_tenants(engine, url: str, **settings: Any):
    """Its configuration."""
    return config_for(engine, keys={"values": KEYS}, database={"url": url}, **settings)


@asynccontextmanager
async def client_of(orchestrator, tenant: str):
    """The client of `team-a` or `team-b`."""
    key = tenant.replace("team", "key")
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key=key, max_retries=0) as client:
        yield client


async def keep(client: openai.AsyncOpenAI, tenant: str) -> dict[str, Any]:
    """A chain of three responses, one of them deleted, and a conversation with a response in it: their ids."""
    first = await ask(client, f"{tenant}: one")
    second = await ask(client, f"{tenant}: two", previous_response_id=first.id)
    third = await ask(client, f"{tenant}: three", previous_response_id=second.id)
    await client.responses.delete(second.id)
    conversation = await client.conversations.create(metadata={"of": tenant})
    spoken = await ask(client, f"{tenant}: four", conversation=conversation.id)
    return {
        "responses": [first.id, third.id, spoken.id],
        "deleted": second.id,
        "conversation": conversation.id,
    }


async def ask(client: openai.AsyncOpenAI, text: str, **fields: Any):
    return await client.responses.create(model="double", input=text, **fields)


async def rows_of(database: Database, tenant: str) -> dict[str, int]:
    """How many rows of each table are a tenant's."""
    async with database.transaction() as connection:
        counts = {}
        for table in TABLES:
            counted = text(f"SELECT count(*) FROM tandem_{table} WHERE tenant = :tenant")
            counts[table] = (await connection.execute(counted, {"tenant": tenant})).scalar_one()
        return counts
