"""An orchestrator with an admin API, and what tests ask of it."""

import asyncio
from typing import Any

from tests.sockets.running import config_for, question

ADMIN = {"Authorization": "Bearer the-admin-key"}


def with_admin(engine, tmp_path, url, **keys):
    """Its configuration."""
    (tmp_path / "admin").write_text("the-admin-key\n")
    keys["admin"] = {"file": str(tmp_path / "admin")}
    return config_for(engine, keys=keys, database={"url": url})


async def admin(orchestrator, method: str, path: str = "", headers=ADMIN, **options: Any) -> tuple[int, Any]:
    """Status and JSON of a request to the admin API."""
    async with orchestrator.client.request(method, f"/admin/keys{path}", headers=headers, **options) as response:
        return response.status, await response.json()


async def make(orchestrator, **terms: Any) -> tuple[str, str]:
    """The id and the key of a new key."""
    status, made = await admin(orchestrator, "POST", json={"tenant": "team-a", **terms})
    assert status == 201, made
    return made["id"], made["key"]


async def ask(orchestrator, key: str | None) -> int:
    """The status of a chat request with a key."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with orchestrator.client.post("/v1/chat/completions", json=question(), headers=headers) as response:
        await response.read()
        return response.status


async def until_status(orchestrator, key: str | None, status: int, seconds: float = 5.0) -> None:
    """Waits until a request with `key` ends in `status`."""
    async with asyncio.timeout(seconds):
        while await ask(orchestrator, key) != status:  # noqa: ASYNC110 # what is waited for lies in other hands
            await asyncio.sleep(0.02)
