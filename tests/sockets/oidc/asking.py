"""Requests with tokens."""

from typing import Any

from tests.sockets.running import Orchestrator, question


async def asks(orchestrator: Orchestrator, token: str, **fields: Any) -> tuple[int, Any]:
    """Status of a chat request, and the error's code and message, or `None`."""
    status, body, _ = await answer(orchestrator, token, **fields)
    return status, f"{body['error']['code']}: {body['error']['message']}" if "error" in body else None


async def answer(orchestrator: Orchestrator, token: str, **fields: Any) -> tuple[int, Any, Any]:
    """Status, JSON and headers."""
    headers = {"authorization": f"Bearer {token}"}
    async with orchestrator.client.post("/v1/chat/completions", json=question(**fields), headers=headers) as response:
        return response.status, await response.json(), response.headers
