from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import anthropic
import pytest

from tests.sockets.running import Orchestrator

LOOK = {
    "name": "look",
    "description": "Look at a place.",
    "input_schema": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
}


@pytest.fixture
async def claude() -> AsyncIterator[Callable[..., anthropic.AsyncAnthropic]]:
    """Clients of an orchestrator, of the anthropic package."""
    async with AsyncExitStack() as stack:

        def client(orchestrator: Orchestrator, **options: Any) -> anthropic.AsyncAnthropic:
            given = {"base_url": orchestrator.url, "api_key": "client-key", "max_retries": 0, **options}
            made = anthropic.AsyncAnthropic(**given)
            stack.push_async_callback(made.close)
            return made

        yield client


@pytest.fixture
async def ask(claude, orchestrator) -> "Asker":
    return Asker(claude(orchestrator))


class Asker:
    """Asks for messages in either way."""

    def __init__(self, client: anthropic.AsyncAnthropic) -> None:
        self.client = client

    async def __call__(self, said: Any = "Hello", *, stream: bool = False, **fields: Any) -> Any:
        messages = said if isinstance(said, list) else [{"role": "user", "content": said}]
        asked = {"model": "double", "max_tokens": 100, "messages": messages, **fields}
        if not stream:
            return await self.client.messages.create(**asked)
        async with self.client.messages.stream(**asked) as events:
            return await events.get_final_message()


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)
