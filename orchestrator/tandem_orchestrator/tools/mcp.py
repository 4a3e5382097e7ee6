"""The tools of an MCP server, over streamable HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

import aiohttp
import httpx2  # what `mcp` takes its HTTP from
import orjson
import structlog
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import SubscriptionLost
from mcp.types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolListChangedNotification,
)
from mcp.types import Tool as Listed
from tandem_contract.config import McpServer
from yarl import URL

from tandem_orchestrator.tools.headers import ToolHeaders
from tandem_orchestrator.tools.outbound import MAX_BYTES, USER_AGENT, Http, reason
from tandem_orchestrator.tools.source import Offer, SourceError
from tandem_orchestrator.tools.tool import ToolError

MAX_NAME: Final = 64
MAX_PAGES: Final = 100
ANSWER_SECONDS: Final = 10.0  # for what is no call of a tool
CALL_SECONDS: Final = 3600.0  # the toolbox ends a call long before
REST_SECONDS: Final = 0.2  # between two listings, and before a lost subscription is made again
FIRST_MODERN: Final = "2026"  # protocol versions are dates; since that year changes are subscribed to
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9_-]")
_BODY_HEADERS: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})  # aiohttp has undone them

log = structlog.get_logger()


class McpSource:
    """Stays connected to a server, and lists its tools when it says that they changed, and every now and then."""

    def __init__(self, settings: McpServer) -> None:
        self.name = f"mcp {settings.name}"
        self._settings = settings
        self._headers = ToolHeaders(settings.headers, settings.secret_headers)
        self._stale = asyncio.Event()

    async def follow(self, offer: Offer) -> None:
        """Offer the server's tools until it fails. Raises `SourceError`."""
        transport = GuardedTransport(self._settings.url, self._headers)
        async with (
            httpx2.AsyncClient(
                transport=transport,
                timeout=httpx2.Timeout(ANSWER_SECONDS, read=None),  # a stream may have nothing to say for hours
                trust_env=False,
            ) as http,
            Client(
                streamable_http_client(self._settings.url, http_client=http),
                message_handler=self._on_message,
                read_timeout_seconds=ANSWER_SECONDS,
                cache=None,
            ) as client,
            asyncio.TaskGroup() as group,
        ):
            if client.protocol_version >= FIRST_MODERN:
                group.create_task(self._listen(client))
            while True:
                self._stale.clear()
                offer([McpTool(self._settings.name, tool, client, self._stale) for tool in await self._list(client)])
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.refresh_seconds):
                        await self._stale.wait()
                await asyncio.sleep(REST_SECONDS)

    async def _list(self, client: Client) -> list[Listed]:
        wanted, found, cursor = self._settings.include, list[Listed](), None
        for _ in range(MAX_PAGES):
            try:
                page = await client.list_tools(cursor=cursor)
            except MCPError as error:
                raise SourceError(f"does not list its tools: {error.message}") from None
            found += [tool for tool in page.tools if not wanted or tool.name in wanted]
            if (cursor := page.next_cursor) is None:
                return found
        raise SourceError(f"lists its tools on more than {MAX_PAGES} pages")

    async def _on_message(self, message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._stale.set()

    async def _listen(self, client: Client) -> None:
        """Wait for changes as newer servers announce them; end with one that announces none."""
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    async for _ in changes:
                        self._stale.set()
            except MCPError:
                return  # listing now and then has to be enough
            except (SubscriptionLost, TimeoutError):
                log.info("the subscription to changes was lost", source=self.name)
            self._stale.set()  # by what was not announced
            await asyncio.sleep(REST_SECONDS)


class McpTool:
    """One tool of a server; a call that fails has the server looked at again, by way of `stale`."""

    def __init__(self, prefix: str, listed: Listed, client: Client, stale: asyncio.Event) -> None:
        self.name = f"{prefix}_{_UNSAFE.sub('_', listed.name)}"[:MAX_NAME]
        self.description = listed.description or listed.title or listed.name
        self.parameters = listed.input_schema
        self._listed = listed.name
        self._client = client
        self._stale = stale

    async def call(self, arguments: dict[str, Any]) -> str:
        """Have the server run the tool."""
        try:
            result = await self._client.call_tool(self._listed, arguments, read_timeout_seconds=CALL_SECONDS)
        except MCPError as error:
            self._stale.set()
            raise ToolError(f"the tool's server failed: {error.message}") from None
        text = _text(result)
        if result.is_error:
            raise ToolError(text)
        return text


def _text(result: CallToolResult) -> str:
    if not result.content and result.structured_content is not None:
        return orjson.dumps(result.structured_content).decode()
    return "\n".join(map(_item_text, result.content))


def _item_text(item: ContentBlock) -> str:
    """Return the text of an item; of one that is no text its kind and size, so that the model knows of it."""
    match item:
        case TextContent():
            return item.text
        case EmbeddedResource():
            if isinstance(item.resource, TextResourceContents):
                return item.resource.text
            return _left_out(f"resource {item.resource.uri}", item.resource.mime_type, item.resource.blob)
        case ResourceLink():
            return f"{item.name}: {item.uri}" + (f" ({item.description})" if item.description else "")
        case ImageContent() | AudioContent():
            return _left_out(item.type, item.mime_type, item.data)


def _left_out(what: str, mime_type: str | None, base64: str) -> str:
    size = len(base64) * 3 // 4 - base64[-2:].count("=")
    return f"({what} left out: {mime_type or 'no type'}, {size} bytes)"


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Carries `mcp`'s requests over our own client, and so past its `OutboundGuard`, with the configured headers."""

    def __init__(self, url: str, headers: ToolHeaders) -> None:
        self._http = Http([url])
        self._headers = headers

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request for httpx2, and follow no redirect."""
        timeouts = request.extensions.get("timeout", {})
        headers = {**request.headers, **self._headers.read(), "user-agent": USER_AGENT}
        try:
            response = await self._http.session().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=headers,
                data=await request.aread(),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(sock_connect=timeouts.get("connect"), sock_read=timeouts.get("read")),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.ConnectError(reason(error), request=request) from error
        kept = [(name, value) for name, value in response.headers.items() if name.lower() not in _BODY_HEADERS]
        return httpx2.Response(response.status, headers=kept, stream=_Body(response), request=request)

    async def aclose(self) -> None:
        """Close the connections, for httpx2."""
        await self._http.close()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._endless = response.content_type == "text/event-stream"  # `mcp` bounds each of its events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        try:
            async for piece in self._response.content.iter_any():
                size += len(piece)
                if size > MAX_BYTES and not self._endless:
                    raise httpx2.ReadError(f"the server answered with more than {MAX_BYTES} bytes")
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.ReadError(reason(error)) from error

    async def aclose(self) -> None:
        self._response.close()
