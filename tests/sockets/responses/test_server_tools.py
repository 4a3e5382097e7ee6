"""Tools that run on the server, alone and beside the client's."""

import orjson
import pytest

from tests.engine_double import Call, Reply
from tests.sockets.responses.asking import ResponsesClient, text_of, types_of
from tests.sockets.running import until
from tests.sockets.tools.mcp_server import RunningMcp
from tests.sockets.tools.service import Says

STREAMED = pytest.mark.parametrize("stream", [False, True])
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
OWN = {"tools": ["calculate_math"]}
MATH = Call("calculate_math", '{"expression": "2+2"}')
FIND = Call("files_search", '{"text": "abc"}')


@STREAMED
async def test_the_server_runs_its_own(ask, engine, stream):
    engine.replies += [Reply("Let me see.", (MATH,)), Reply("Four.")]
    response = await ask.either(stream=stream, tandem=OWN)
    assert types_of(response["output"]) == ["message", "mcp_call", "message"]
    call = response["output"][1]
    assert (call["name"], call["arguments"], call["status"]) == (MATH.name, MATH.arguments, "completed")
    assert "4" in call["output"]
    assert response["usage"]["output_tokens"] == 4  # of both passes


@STREAMED
async def test_what_it_gave_is_there_for_what_follows(ask, engine, stream):
    engine.replies += [Reply("", (MATH,)), Reply("Four."), Reply("Yes.")]
    first = await ask.either("2+2?", stream=stream, tandem=OWN)
    await ask.either("Sure?", stream=stream, previous_response_id=first["id"])
    messages = engine.seen[-1].body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[2]["content"] == first["output"][0]["output"]


@STREAMED
async def test_it_may_fail(ask, engine, stream):
    engine.replies += [Reply("", (Call("calculate_math", '{"expression": "1/0"}'),)), Reply("It cannot be.")]
    response = await ask.either(stream=stream, tandem=OWN)
    call = response["output"][0]
    assert (call["status"], call["output"]) == ("failed", None)
    assert call["error"]
    assert response["status"] == "completed"
    second = await ask.create("Sure?", previous_response_id=response["id"])
    assert second["status"] == "completed"
    assert "division by zero" in engine.seen[-1].body["messages"][2]["content"]


@STREAMED
async def test_beside_the_clients_function_in_one_turn(ask, engine, stream):
    engine.replies += [Reply("", (MATH, Call("look", '{"at": "it"}'))), Reply("Four, and seen.")]
    first = await ask.either(stream=stream, tools=[LOOK], tandem=OWN)
    assert sorted(types_of(first["output"])) == ["function_call", "mcp_call"]
    assert len(engine.seen) == 1  # the client has to go on
    (call,) = (item for item in first["output"] if item["type"] == "function_call")
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "seen"}
    second = await ask.either([output], stream=stream, tools=[LOOK], tandem=OWN, previous_response_id=first["id"])
    assert types_of(second["output"]) == ["message"]  # the server's tool is not asked again
    messages = engine.seen[-1].body["messages"]
    results = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    called = [each for message in messages for each in message.get("tool_calls") or ()]
    assert {each["id"] for each in called} == set(results)
    assert sorted(each["function"]["name"] for each in called) == ["calculate_math", "look"]
    assert "seen" in results.values()


@STREAMED
async def test_the_client_bounds_the_calls(ask, engine, stream):
    engine.replies += [Reply("", (MATH, MATH, MATH)), Reply("Enough.")]
    response = await ask.either(stream=stream, tandem=OWN, max_tool_calls=2)
    assert types_of(response["output"]) == ["mcp_call", "mcp_call", "message"]
    assert engine.seen[-1].body["tool_choice"] == "none"
    assert response["max_tool_calls"] == 2


@STREAMED
async def test_further_calls_are_ignored(ask, engine, stream):
    engine.replies += [Reply("", (MATH, MATH)), Reply("Once more.", (MATH,))]
    response = await ask.either(stream=stream, tandem=OWN, max_tool_calls=2)
    assert types_of(response["output"]) == ["mcp_call", "mcp_call", "message"]
    assert (response["status"], text_of(response)) == ("completed", "Once more.")
    assert len(engine.seen) == 2


async def test_a_model_that_keeps_calling_wrongly(ask, engine):
    engine.replies += [Reply("", (Call("calculate_math", '{"expr'),))] * 2
    stream = await ask.stream(tandem=OWN)
    assert stream.names[-2:] == ["error", "response.failed"]
    assert stream.events[-2]["code"] == "invalid_tool_arguments"
    engine.replies += [Reply("", (Call("calculate_math", '{"expr'),))] * 2
    assert (await ask.refused(502, tandem=OWN))["code"] == "invalid_tool_arguments"


@STREAMED
async def test_a_function_by_the_name_of_the_servers_is_the_servers(ask, engine, stream):
    engine.replies += [Reply("", (MATH,)), Reply("Four.")]
    function = {"type": "function", "name": "calculate_math", "parameters": {"type": "object"}}
    response = await ask.either(stream=stream, tools=[function])
    assert types_of(response["output"]) == ["mcp_call", "message"]


class TestWebSearch:
    @pytest.fixture
    async def searching(self, asking, service):
        service.says["/search"] = Says({"results": [{"title": "T", "url": "https://t.example", "content": "Tandems."}]})
        return await asking(tools={"webSearch": {"provider": "searxng", "url": service.url}})

    @STREAMED
    async def test_it_is_an_item(self, searching, engine, service, stream):
        engine.replies += [Reply("", (Call("web_search", '{"query": "tandems"}'),)), Reply("They are long.")]
        response = await searching.either(stream=stream, tools=[{"type": "web_search"}])
        assert types_of(response["output"]) == ["web_search_call", "message"]
        assert response["output"][0]["action"] == {"type": "search", "query": "tandems"}
        assert len(service.asked) == 1

    async def test_what_it_found_is_there_for_what_follows(self, searching, engine):
        engine.replies += [Reply("", (Call("web_search", '{"query": "tandems"}'),)), Reply("They are long.")]
        first = await searching.create(tools=[{"type": "web_search"}])
        await searching.create("Sure?", previous_response_id=first["id"])
        assert "https://t.example" in engine.seen[-1].body["messages"][2]["content"]

    async def test_a_client_without_it_does_not_get_it(self, searching, engine):
        await searching.create()
        assert "tools" not in engine.seen[-1].body


class TestMcp:
    @pytest.fixture
    async def files(self):
        async with RunningMcp() as server:
            yield server

    @pytest.fixture
    async def ask(self, start, files):
        orchestrator = await start(tools={"mcp": [{"name": "files", "url": files.url}]})
        await until(lambda: "files_search" in orchestrator.app.services.toolbox.names)
        return ResponsesClient(orchestrator.client)

    @STREAMED
    async def test_a_tool_that_needs_no_consent(self, ask, engine, files, stream):
        engine.replies += [Reply("", (FIND,)), Reply("Three.")]
        tool = {"type": "mcp", "server_label": "files", "require_approval": "never"}
        response = await ask.either(stream=stream, tools=[tool])
        call = next(item for item in response["output"] if item["type"] == "mcp_call")
        assert (call["server_label"], call["name"], call["output"]) == ("files", "search", "3 files with abc")
        assert text_of(response) == "Three."
        assert files.calls == ["abc"]

    @STREAMED
    async def test_a_person_is_asked_first(self, ask, engine, files, stream):
        engine.replies.append(Reply("", (FIND,)))
        response = await ask.either(stream=stream, tools=[{"type": "mcp", "server_label": "files"}])
        request = response["output"][-1]
        assert (request["type"], request["server_label"], request["name"]) == (
            "mcp_approval_request",
            "files",
            "search",
        )
        assert request["arguments"] == FIND.arguments
        assert (response["status"], files.calls) == ("completed", [])

    @STREAMED
    async def test_what_a_person_forbids_does_not_run(self, ask, engine, files, stream):
        engine.replies += [Reply("", (FIND,)), Reply("Then not.")]
        tools = [{"type": "mcp", "server_label": "files"}]
        first = await ask.either(stream=stream, tools=tools)
        answer = {
            "type": "mcp_approval_response",
            "approval_request_id": first["output"][-1]["id"],
            "approve": False,
            "reason": "too nosy",
        }
        second = await ask.either([answer], stream=stream, tools=tools, previous_response_id=first["id"])
        assert (text_of(second), files.calls) == ("Then not.", [])
        assert orjson.loads(engine.seen[-1].body["messages"][-1]["content"]) == {"error": "too nosy"}
        assert types_of((await ask.input_items(second["id"]))["data"]) == ["mcp_approval_response"]

    @STREAMED
    async def test_what_a_person_allows_runs_before_the_engine_is_asked(self, ask, engine, files, stream):
        engine.replies += [Reply("", (FIND,)), Reply("Three.")]
        tools = [{"type": "mcp", "server_label": "files"}]
        first = await ask.either(stream=stream, tools=tools)
        request = first["output"][-1]
        answer = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
        second = await ask.either([answer], stream=stream, tools=tools, previous_response_id=first["id"])
        call = second["output"][0]
        assert (call["type"], call["approval_request_id"], call["output"]) == (
            "mcp_call",
            request["id"],
            "3 files with abc",
        )
        assert (text_of(second), files.calls, len(engine.seen)) == ("Three.", ["abc"], 2)
        error = await ask.refused(400, [answer], tools=tools, previous_response_id=second["id"])
        assert "has been answered" in error["message"]
        assert files.calls == ["abc"]

    async def test_what_was_not_asked_for_or_is_not_offered_cannot_be_allowed(self, ask, engine, files):
        engine.replies.append(Reply("", (FIND,)))
        tools = [{"type": "mcp", "server_label": "files"}]
        first = await ask.create(tools=tools)
        answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_other", "approve": True}
        error = await ask.refused(400, [answer], tools=tools, previous_response_id=first["id"])
        assert error["param"] == "input.0.approval_request_id"
        answer["approval_request_id"] = first["output"][-1]["id"]
        error = await ask.refused(400, [answer], previous_response_id=first["id"])
        assert "is no tool of this request" in error["message"]
        assert files.calls == []

    @STREAMED
    async def test_a_servers_tools_are_told_once(self, ask, stream):
        tools = [{"type": "mcp", "server_label": "files", "require_approval": "never"}]
        first = await ask.either(stream=stream, tools=tools)
        listed = first["output"][0]
        assert (listed["type"], listed["server_label"]) == ("mcp_list_tools", "files")
        assert "search" in [tool["name"] for tool in listed["tools"]]
        second = await ask.either(stream=stream, tools=tools, previous_response_id=first["id"])
        assert types_of(second["output"]) == ["message"]

    async def test_only_allowed_tools_are_offered(self, ask, engine):
        tool = {"type": "mcp", "server_label": "files", "allowed_tools": ["search"]}
        await ask.create(tools=[tool])
        assert [each["function"]["name"] for each in engine.seen[-1].body["tools"]] == ["files_search"]

    async def test_secrets_are_not_echoed(self, ask):
        tool = {"type": "mcp", "server_label": "files", "authorization": "s3cret", "headers": {"x": "s3cret"}}
        assert "s3cret" not in str(await ask.create(tools=[tool]))

    @pytest.mark.parametrize("name", [None, "search"])
    async def test_it_may_be_chosen(self, ask, engine, name):
        choice = {"type": "mcp", "server_label": "files", **({"name": name} if name else {})}
        response = await ask.create(tools=[LOOK, {"type": "mcp", "server_label": "files"}], tool_choice=choice)
        assert response["tool_choice"] == choice
        offered = {tool["function"]["name"] for tool in engine.seen[-1].body["tools"]}
        assert "look" not in offered
        assert offered == {"files_search"} if name else len(offered) == 4
