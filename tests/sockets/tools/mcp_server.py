"""A real MCP server on a port of this machine, which can go away and come back."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from starlette.types import Receive, Scope, Send

from tests.sockets.running import until


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are pytest's


class RunningMcp:
    """`async with RunningMcp() as server:`; `server.url` is its endpoint, `server.mcp` takes further tools.

    An `older` one knows only the protocol of 2025, with its handshake and sessions.
    """

    def __init__(self, *, older: bool = False, **options: Any) -> None:
        self.older = older
        self.mcp = MCPServer("files", log_level="ERROR")
        self.headers: list[dict[str, str]] = []
        self.calls: list[str] = []
        self.hanging = asyncio.Event()
        self.left = asyncio.Event()
        self.port = 0
        self._options = options
        self._add_tools()

    def _add_tools(self) -> None:
        @self.mcp.tool()
        async def search(text: str, limit: int = 3) -> str:
            """Find files."""
            self.calls.append(text)
            return f"{limit} files with {text}"

        @self.mcp.tool()
        async def fail() -> str:
            raise ToolError("no such file")

        @self.mcp.tool()
        async def hang() -> str:
            self.hanging.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
            return ""

        @self.mcp.tool(name="learn.trick")
        async def learn(context: Context) -> str:
            self.mcp.add_tool(lambda: "roll", name="roll")
            await context.notify_tools_changed()
            await context.session.send_tool_list_changed()
            return "learnt"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = self.mcp.streamable_http_app(**self._options)

        async def noting(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
                if self.older and self.headers[-1].get("mcp-method") == "server/discover":
                    await send({"type": "http.response.start", "status": 404, "headers": []})
                    await send({"type": "http.response.body"})
                    return
            await app(scope, receive, send)

        config = uvicorn.Config(
            noting, host="127.0.0.1", port=self.port, log_config=None, access_log=False, timeout_graceful_shutdown=0
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve())
        await until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        with suppress(asyncio.CancelledError):
            await self._task
