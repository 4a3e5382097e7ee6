"""Tools of real MCP servers over streamable HTTP."""

import asyncio
import base64

import httpx2
import pytest
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)
from tandem_orchestrator.tools import source
from tandem_orchestrator.tools.headers import ToolHeaders
from tandem_orchestrator.tools.mcp import GuardedTransport

from tests.sockets.running import until
from tests.sockets.tools.mcp_server import RunningMcp
from tests.sockets.tools.service import Says


@pytest.fixture(params=[{}, {"json_response": True}, {"older": True}], ids=["streams", "json", "older"])
async def either(request):
    async with RunningMcp(**request.param) as running:
        yield running


@pytest.fixture
async def server():
    async with RunningMcp() as running:
        yield running


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch):
    monkeypatch.setattr(source, "FIRST_DELAY", 0.01)


async def test_its_tools_are_offered_and_called(tools, either):
    box = await (await tools(mcp=[{"name": "files", "url": either.url}])).ready()
    assert box.toolbox.names == {"files_search", "files_fail", "files_hang", "files_learn_trick"}
    assert await box.call("files_search", text="abc") == ("success", "3 files with abc")
    assert (await box.call("files_search", text=7))[0] == "invalid_arguments"
    assert "no such file" in await box.error("files_fail")
    assert either.calls == ["abc"]
    assert any("mcp-session-id" in seen for seen in either.headers) == either.older


async def test_only_those_that_are_named(tools, server):
    box = await (await tools(mcp=[{"name": "files", "url": server.url, "include": ["learn.trick"]}])).ready()
    assert box.toolbox.names == {"files_learn_trick"}


async def test_a_tool_that_comes_later_is_offered(tools, either):
    box = await (await tools(mcp=[{"name": "files", "url": either.url, "refreshSeconds": 600}])).ready()
    assert await box.call("files_learn_trick") == ("success", "learnt")
    await until(lambda: "files_roll" in box.toolbox.names)
    assert await box.call("files_roll") == ("success", "roll")


async def test_tools_are_listed_anew_now_and_then(tools, server):
    box = await (await tools(mcp=[{"name": "files", "url": server.url, "refreshSeconds": 1}])).ready()
    server.mcp.remove_tool("fail")
    await until(lambda: "files_fail" not in box.toolbox.names)


def everything() -> list[ContentBlock]:
    data = base64.b64encode(bytes(70)).decode()
    return [
        TextContent(text="first"),
        EmbeddedResource(resource=TextResourceContents(uri="file:///a.md", text="# A\n")),
        EmbeddedResource(resource=BlobResourceContents(uri="file:///a.pdf", mime_type="application/pdf", blob=data)),
        EmbeddedResource(resource=BlobResourceContents(uri="file:///b", blob="")),
        ResourceLink(name="b.md", uri="file:///b.md"),
        ResourceLink(name="c.md", description="the third", uri="file:///c.md"),
        ImageContent(data=data, mime_type="image/png"),
        AudioContent(data=data, mime_type="audio/wav"),
    ]


async def test_all_that_a_server_can_answer_with_is_told(tools, either):
    either.mcp.add_tool(everything, name="everything")
    box = await (await tools(mcp=[{"name": "files", "url": either.url}])).ready()
    status, text = await box.call("files_everything")
    assert status == "success"
    assert text.split("\n") == [
        "first",
        *("# A", ""),
        "(resource file:///a.pdf left out: application/pdf, 70 bytes)",
        "(resource file:///b left out: no type, 0 bytes)",
        "b.md: file:///b.md",
        "c.md: file:///c.md (the third)",
        "(image left out: image/png, 70 bytes)",
        "(audio left out: audio/wav, 70 bytes)",
    ]


async def test_a_server_that_goes_and_comes_back(tools, either):
    box = await (await tools(mcp=[{"name": "files", "url": either.url}])).ready()
    await either.stop()
    assert (await box.call("files_search", text="abc"))[0] == "error"
    await until(lambda: not box.toolbox.names)
    assert box.toolbox.degraded()[0].startswith("tools of mcp files: ")
    await either.start()
    await box.ready()
    assert await box.call("files_search", text="abc") == ("success", "3 files with abc")


async def test_a_session_that_the_server_has_forgotten_is_begun_anew(tools):
    async with RunningMcp(older=True) as server:
        box = await (await tools(mcp=[{"name": "files", "url": server.url, "refreshSeconds": 600}])).ready()
        await server.stop()
        await server.start()
        assert await box.error("files_search", text="abc") == "the tool's server failed: Session not found"
        await until(lambda: "files_search" not in box.toolbox.names)
        await box.ready()
        assert (await box.call("files_search", text="abc"))[0] == "success"


async def test_a_server_that_is_not_there_yet(tools):
    server = RunningMcp()
    async with server:
        pass
    box = await tools(mcp=[{"name": "files", "url": server.url}])
    assert "ConnectError" in await box.down()
    async with server:
        await box.ready()


async def test_a_call_that_is_given_up_ends_on_the_server(tools, server):
    box = await (await tools(mcp=[{"name": "files", "url": server.url}])).ready()
    calling = asyncio.create_task(box.call("files_hang"))
    await server.hanging.wait()
    calling.cancel()
    async with asyncio.timeout(20):
        await server.left.wait()
    assert await box.call("files_search", text="abc") == ("success", "3 files with abc")


async def test_headers_go_with_each_request(tools, server, tmp_path):
    (tmp_path / "key").write_text("s3cret")
    header = {"name": "Authorization", "prefix": "Bearer ", "value": {"file": str(tmp_path / "key")}}
    settings = {"name": "files", "url": server.url, "headers": {"x-team": "blue"}, "secretHeaders": [header]}
    box = await (await tools(mcp=[settings])).ready()
    await box.call("files_search", text="abc")
    assert {(seen.get("authorization"), seen.get("x-team")) for seen in server.headers} == {("Bearer s3cret", "blue")}


@pytest.mark.parametrize("target", ["http://169.254.169.254/mcp", "http://localhost:{port}/mcp"])
async def test_a_redirect_is_not_followed(tools, service, server, target):
    service.says["/mcp"] = Says(status=307, headers={"location": target.format(port=server.port)})
    box = await tools(mcp=[{"name": "files", "url": f"{service.url}/mcp"}])
    await box.down()
    assert not server.headers


async def test_a_name_that_leads_inside_is_refused(server):
    # As after DNS rebinding: the configuration names another host, and the request ends up here all the same.
    async with httpx2.AsyncClient(
        transport=GuardedTransport("https://mcp.example.com/mcp", ToolHeaders({}, []))
    ) as http:
        with pytest.raises(httpx2.ConnectError, match="an address that is not public"):
            await http.post(server.url.replace("127.0.0.1", "localhost"), json={})
    assert not server.headers
