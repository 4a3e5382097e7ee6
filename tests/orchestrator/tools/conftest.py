import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from tandem_contract.config import Tools
from tandem_orchestrator.tools.build import build
from tandem_orchestrator.tools.toolbox import Toolbox, ToolCall

from tests.orchestrator.running import until
from tests.orchestrator.tools.service import Service


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service() as running:
        yield running


class Box:
    """A toolbox under watch, as the orchestrator has one."""

    def __init__(self, **settings: Any) -> None:
        self.toolbox: Toolbox = build(Tools.model_validate({"enabled": [], **settings}))
        self._watching = asyncio.create_task(self.toolbox.watch())

    async def ready(self) -> "Box":
        await until(lambda: not self.toolbox.degraded())
        return self

    async def down(self) -> str:
        """What keeps its tools away, when that is known."""
        await until(lambda: self.toolbox.degraded() and "not reached" not in self.toolbox.degraded()[0])
        return self.toolbox.degraded()[0]

    async def call(self, name: str, **arguments: Any) -> tuple[str, Any]:
        """Status and content of a call, the content as JSON where it is that."""
        call = ToolCall("id", name, orjson.dumps(arguments).decode())
        result = await self.toolbox.run(call, self.toolbox.names, 60.0)
        try:
            return result.status, orjson.loads(result.content)
        except orjson.JSONDecodeError:
            return result.status, result.content

    async def error(self, name: str, **arguments: Any) -> str:
        """What a call that fails tells the model."""
        status, content = await self.call(name, **arguments)
        assert status == "error", (status, content)
        return str(content["error"])

    async def close(self) -> None:
        self._watching.cancel()
        await asyncio.wait([self._watching])
        await self.toolbox.close()


@pytest.fixture
async def tools() -> AsyncIterator[Callable[..., Awaitable[Box]]]:
    boxes: list[Box] = []

    async def made(**settings: Any) -> Box:
        boxes.append(Box(**settings))
        return boxes[-1]

    yield made
    for box in boxes:
        await box.close()
