"""The anthropic package against our messages, unchanged."""

import anthropic
import httpx2
import pytest

from tests.engine_double import EngineDouble
from tests.engine_double.reply import Call, Reply
from tests.sockets.messages.conftest import LOOK, Asker
from tests.sockets.running import AT_ONCE, config_for
from tests.sockets.search_double import BUILT, TOOL, SearchDouble
from tests.sockets.search_double import SEARCH as SEARCH_FILES
from tests.sockets.tools.service import Says, Service

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TEXT = "Hello, I am an engine double and this answer has 64 bytes in it."
MATH = {"name": "calculate_math", "input_schema": {"type": "object"}}
SEARCH = {"name": "web_search", "type": "web_search_20250305", "max_uses": 5}


async def test_a_message(ask, engine, stream):
    engine.replies.append(Reply(cached_tokens=3))
    drawn = {"temperature": 0.5, "top_p": 0.9, "top_k": 4}  # which the package has no names for any more
    message = await ask("Hello", stream=stream, system="Be brief.", extra_body=drawn)
    assert [(block.type, block.text) for block in message.content] == [("text", TEXT)]
    assert (message.id[:4], message.type, message.role, message.model) == ("msg_", "message", "assistant", "double")
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    used = message.usage
    assert (used.input_tokens, used.cache_read_input_tokens, used.output_tokens) == (11, 3, 14)
    asked = engine.seen[0].body
    assert asked["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert {name: asked[name] for name in ("max_tokens", *drawn)} == {"max_tokens": 100, **drawn}


async def test_the_clients_tools(ask, engine, stream):
    """They come back as calls, and their results go to the model, as many rounds as there are."""
    engine.replies.append(Reply("Let me look.", (Call("look", '{"place": "a"}'), Call("look", '{"place": "b"}'))))
    message = await ask("Where?", stream=stream, tools=[LOOK])
    assert message.stop_reason == "tool_use"
    text, *calls = message.content
    assert text.text == "Let me look."
    assert [(call.name, call.input) for call in calls] == [("look", {"place": "a"}), ("look", {"place": "b"})]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"it is {n}"} for n, call in enumerate(calls)]
    results[1] |= {"is_error": True, "content": [{"type": "text", "text": "gone"}]}
    said = [{"role": "user", "content": "Where?"}, message.to_param(), {"role": "user", "content": results}]
    message = await ask(said, stream=stream, tools=[LOOK])
    assert message.content[0].text == "The result is it is 0 and Error: gone."
    function = {"name": "look", "description": "Look at a place.", "parameters": LOOK["input_schema"]}
    assert engine.seen[1].body["tools"] == [{"type": "function", "function": function}]
    assistant, *given = engine.seen[1].body["messages"][1:]
    assert [call["function"]["arguments"] for call in assistant["tool_calls"]] == ['{"place":"a"}', '{"place":"b"}']
    assert [result["tool_call_id"] for result in given] == [call["id"] for call in assistant["tool_calls"]]


@pytest.mark.parametrize(
    ("choice", "asked"),
    [
        ({"type": "auto"}, {}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"tool_choice": "required", "parallel_tool_calls": False}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "look"}, {"tool_choice": {"type": "function", "function": {"name": "look"}}}),
    ],
)
async def test_choices(ask, engine, choice, asked):
    await ask(tools=[LOOK], tool_choice=choice)
    assert {name: engine.seen[0].body.get(name) for name in asked} == asked
    assert "tool_choice" in asked or "tool_choice" not in engine.seen[0].body


async def test_the_servers_tools(ask, engine, stream, lines):
    """They run here, and the message has what the model says at the end, with the usage of all passes."""
    message = await ask("What is 6 * 7?", stream=stream, tools=[MATH])
    assert [block.text for block in message.content] == ["The result is 42."]
    assert (message.stop_reason, message.usage.input_tokens) == ("end_turn", 28)
    assert [call["function"]["name"] for call in engine.seen[1].body["messages"][1]["tool_calls"]] == ["calculate_math"]
    await engine.until(lambda: bool(lines))
    assert lines[-1]["tool_calls"] == ["calculate_math:success"]
    assert (lines[-1]["path"], lines[-1]["prompt_tokens"]) == ("/v1/messages", 28)


async def test_the_servers_tools_beside_the_clients(ask, engine, stream):
    engine.replies.append(Reply("", (Call("calculate_math", '{"expression": "6*7"}'),)))
    engine.replies.append(Reply("", (Call("look", '{"place": "a"}'),)))
    message = await ask("Both", stream=stream, tools=[MATH, LOOK])
    assert [(block.name, block.input) for block in message.content] == [("look", {"place": "a"})]


async def test_tools_that_the_request_asks_for_by_name_or_declines(ask, engine):
    named = {"tandem": {"tools": ["calculate_math"]}}
    assert (await ask("What is 6 * 7?", extra_body=named)).content[0].text == "The result is 42."
    declined = await ask("What is 6 * 7?", tools=[MATH], extra_headers={"x-tandem-tools": "off"})
    assert declined.content[0].input == {"expression": "6 * 7"}
    with pytest.raises(anthropic.BadRequestError, match="there is no tool magic here"):
        await ask(extra_body={"tandem": {"tools": ["magic"]}})


@pytest.mark.parametrize("display", [{}, {"thinking": {"type": "disabled"}}, {"thinking": {"type": "adaptive"}}])
async def test_what_was_thought(ask, engine, stream, display):
    engine.replies.append(Reply("Yes.", (Call("look", '{"place": "a"}'),), reasoning="Should I?"))
    message = await ask(stream=stream, tools=[LOOK], **display)
    shown = [block.type for block in message.content]
    if display.get("thinking") == {"type": "disabled"}:
        assert shown == ["text", "tool_use"]
        return
    assert shown == ["thinking", "text", "tool_use"]
    assert (message.content[0].thinking, bool(message.content[0].signature)) == ("Should I?", True)
    result = {"type": "tool_result", "tool_use_id": message.content[2].id, "content": "Yes"}
    said = [{"role": "user", "content": "?"}, message.to_param(), {"role": "user", "content": [result]}]
    await ask(said, stream=stream, tools=[LOOK])
    assert engine.seen[1].body["messages"][1]["reasoning"] == "Should I?"


async def test_images_and_documents(ask, engine):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    elsewhere = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    page = {"type": "document", "title": "Notes", "source": {"type": "text", "media_type": "text/plain", "data": "Hi"}}
    await ask([{"role": "user", "content": [image, elsewhere, page, {"type": "text", "text": "What is it?"}]}])
    shown = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    assert engine.seen[0].body["messages"][0]["content"] == [
        shown,
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "text", "text": "Notes"},
        {"type": "text", "text": "Hi"},
        {"type": "text", "text": "What is it?"},
    ]


@pytest.mark.parametrize(
    "case",
    [
        (Reply(finish_reason="length"), {}, ("max_tokens", None)),
        (Reply(finish_reason="content_filter"), {}, ("refusal", None)),
        (Reply(stop_reason="END"), {"stop_sequences": ["END", "X"]}, ("stop_sequence", "END")),
        (Reply(stop_reason=151645), {"stop_sequences": ["END"]}, ("end_turn", None)),
        (Reply("", (Call("look", '{"place"'),), finish_reason="length"), {"tools": [LOOK]}, ("max_tokens", None)),
        (Reply("", (Call("look", "{}"),), finish_reason="stop"), {"tools": [LOOK]}, ("tool_use", None)),
    ],
)
async def test_how_a_message_ends(ask, engine, stream, case):
    reply, fields, ends = case
    engine.replies.append(reply)
    message = await ask(stream=stream, **fields)
    assert (message.stop_reason, message.stop_sequence) == ends
    assert engine.seen[0].body.get("stop") == fields.get("stop_sequences")


async def test_which_stop_sequence_ended_it_also_after_a_tool(ask, engine, stream):
    engine.replies += [Reply("", (Call("calculate_math", '{"expression": "6*7"}'),)), Reply("42", stop_reason="END")]
    message = await ask(stream=stream, tools=[MATH], stop_sequences=["END"])
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


async def test_arguments_that_are_no_json(ask, engine, stream):
    """The client gets them as they are, in a field of their own, and can tell the model."""
    engine.replies.append(Reply("", (Call("look", '{"place": '), Call("look", "[1]"), Call("look", ""))))
    message = await ask(stream=stream, tools=[LOOK])
    assert [block.input for block in message.content] == [
        {"INVALID_JSON": '{"place": '},
        {"INVALID_JSON": "[1]"},
        {},
    ]


async def test_a_schema_of_the_answer(ask, engine):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    config = {"effort": "high", "format": {"type": "json_schema", "schema": schema}}
    await ask(output_config=config)
    asked = engine.seen[0].body
    assert asked["reasoning_effort"] == "high"
    assert asked["response_format"]["json_schema"]["schema"] == schema


async def test_counting(ask, engine):
    said = [{"role": "user", "content": "one two three"}]
    counted = await ask.client.messages.count_tokens(model="double", messages=said, system="four five", tools=[MATH])
    assert counted.input_tokens == 4 + 3 + 4 + 2 + 10
    assert engine.seen == []  # it was asked how many they are, and for no answer


async def test_counting_where_no_engine_tells(serve, claude, engine):
    """An engine of another make has to read it all."""
    upstream = {"name": "other", "url": engine.url, "model": "double", "type": "openai"}
    ask = Asker(claude(await serve(config_for(upstreams=[upstream]))))
    counted = await ask.client.messages.count_tokens(model="double", messages=[{"role": "user", "content": "one"}])
    assert (counted.input_tokens, engine.seen[0].body["max_tokens"]) == (7, 1)


async def test_models(serve, claude, engine):
    settings = {"models": [{"name": "double", "aliases": ["claude-double"]}]}
    client = claude(await serve(config_for(engine, **settings)))
    listed = [model async for model in client.models.list(limit=1000)]
    assert [(model.id, model.display_name, model.type) for model in listed] == [
        ("double", "double", "model"),
        ("claude-double", "claude-double", "model"),
    ]
    assert (await client.models.retrieve("claude-double")).created_at.year == 1970
    with pytest.raises(anthropic.NotFoundError) as found:
        await client.models.retrieve("nothing")
    assert found.value.type == "not_found_error"
    message = await Asker(client)(model="claude-double")
    assert (message.model, engine.seen[0].body["model"]) == ("double", "double")


class TestErrors:
    """In the package's own classes, with the type that Anthropic's service would tell, and the request's id."""

    @pytest.fixture
    async def service(self, serve, engine):
        settings = {
            "keys": {"values": ["team-a:key-a"]},
            "limits": {"maxBodyBytes": 2000},
            "rateLimits": {"defaults": {"requestsPerMinute": 6}},
            **AT_ONCE,
        }
        return await serve(config_for(engine, **settings))

    @pytest.fixture
    def ask(self, service, claude):
        return Asker(claude(service, api_key="key-a"))

    @pytest.mark.parametrize(
        "case",
        [
            ({"model": "other"}, anthropic.NotFoundError, "not_found_error"),
            ({"max_tokens": 0}, anthropic.BadRequestError, "invalid_request_error"),
            ({"system": "x" * 2000}, anthropic.ContentTooLargeError, "request_too_large"),
        ],
    )
    async def test_of_the_request(self, ask, stream, case):
        fields, kind, name = case
        with pytest.raises(kind) as found:
            await ask(stream=stream, **fields)
        error = found.value
        assert (error.type, bool(error.request_id)) == (name, True)
        assert error.request_id == error.response.headers["x-request-id"]

    async def test_of_the_key(self, service, claude):
        with pytest.raises(anthropic.AuthenticationError) as found:
            await Asker(claude(service, api_key="wrong"))()
        assert found.value.type == "authentication_error"
        assert found.value.response.headers["x-should-retry"] == "false"  # or Claude Code tries it for minutes
        assert await Asker(claude(service, api_key=None, auth_token="key-a"))()

    async def test_of_a_limit(self, ask):
        for _ in range(6):
            await ask()
        with pytest.raises(anthropic.RateLimitError) as found:
            await ask()
        assert (found.value.type, int(found.value.response.headers["retry-after"]) > 0) == ("rate_limit_error", True)

    @pytest.mark.parametrize(
        "case",
        [
            (Reply(status=400), anthropic.BadRequestError, "invalid_request_error"),
            (Reply(status=503), anthropic.OverloadedError, "overloaded_error"),
            (Reply(status=429), anthropic.RateLimitError, "rate_limit_error"),
            (Reply(status=500), anthropic.InternalServerError, "api_error"),
            (Reply(fault="malformed_json"), anthropic.InternalServerError, "api_error"),
            (Reply(fault="error_event", fault_after=0), anthropic.InternalServerError, "api_error"),
        ],
    )
    async def test_of_the_engine(self, ask, engine, case):
        reply, kind, name = case
        engine.replies.append(reply)
        with pytest.raises(kind) as found:
            await ask()
        assert found.value.type == name

    async def test_without_an_engine(self, ask, engine, stream):
        engine.stop()
        with pytest.raises(anthropic.APIStatusError) as found:
            await ask(stream=stream)
        assert found.value.type in ("overloaded_error", "api_error")

    async def test_a_prompt_that_is_too_long(self, ask, engine, stream):
        """Its message begins with the words by which Claude Code knows that it has to compact."""
        engine.context = 10
        with pytest.raises(anthropic.BadRequestError, match=r"'message': \"prompt is too long: This model's maximum"):
            await ask("one " * 20, stream=stream)

    async def test_a_web_search_that_is_not_there(self, ask):
        with pytest.raises(anthropic.BadRequestError, match=r"tools\.0\.type: 'web_search_20250305' is a tool of"):
            await ask(tools=[SEARCH])


@pytest.mark.parametrize("fault", ["cut", "error_event", "no_done", "malformed_json"])
async def test_an_engine_that_fails_midway(serve, claude, engine, fault):
    """The stream ends in an error event, and in no message_stop."""
    ask = Asker(claude(await serve(config_for(engine, **AT_ONCE))))
    engine.replies.append(Reply(fault=fault, fault_after=5))
    with pytest.raises(anthropic.APIStatusError) as found:
        await ask(stream=True)
    assert found.value.type == "api_error"


async def test_the_synchronous_request_of_claude_code(orchestrator, engine):
    """As it was seen on the wire: a query, betas, marks for a cache, its own line in `system`, thinking, and edits."""
    mark = {"cache_control": {"type": "ephemeral"}}
    body = {
        "model": "double",
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=abc12;"},
            {"type": "text", "text": "You are Claude Code.", **mark},
        ],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Hi", **mark}]},
            {"role": "system", "content": "Mind the time."},
        ],
        "tools": [{**LOOK, "eager_input_streaming": True, **mark}],
        "metadata": {"user_id": "user_1_account__session_2"},
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "medium"},
        "stream": True,
    }
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "claude-code-20250219,interleaved-thinking"}
    async with httpx2.AsyncClient(base_url=orchestrator.url) as http:
        answer = await http.post("/v1/messages?beta=true", json=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text.endswith('event: message_stop\ndata: {"type":"message_stop"}\n\n')
    assert engine.seen[0].body["messages"] == [
        {"role": "system", "content": "You are Claude Code."},
        {"role": "user", "content": "Hi\n\nMind the time."},
    ]
    assert b"user_1" not in engine.seen[0].raw


async def test_web_search(serve, claude, engine, stream):
    """The one of the service stands in for Anthropic's, and is counted; what the text cites comes with it."""
    async with Service() as service:
        page = {"title": "Tandems", "url": "https://example.com/t", "content": "A tandem has two saddles."}
        service.says["/search"] = Says({"results": [page]})
        searx = {"webSearch": {"provider": "searxng", "url": service.url}}
        ask = Asker(claude(await serve(config_for(engine, tools=searx))))
        engine.replies += [Reply("", (Call("web_search", '{"query": "tandem"}'),)), Reply("Two saddles [1].")]
        message = await ask("How many?", stream=stream, tools=[SEARCH])
        (cited,) = message.content[0].citations
        assert (cited.type, cited.url, cited.title) == ("web_search_result_location", page["url"], "Tandems")
        _, called, result = message.content
        assert (called.type, called.name, result.tool_use_id) == ("server_tool_use", "web_search", called.id)
        assert [(found.url, found.title) for found in result.content] == [(page["url"], "Tandems")]
        assert message.usage.server_tool_use.web_search_requests == 1
        declared = engine.seen[0].body["tools"][0]["function"]
        assert (declared["name"], declared["parameters"]["required"]) == ("web_search", ["query"])
        engine.replies.append(Reply("Of course."))
        again = [{"role": "user", "content": "How many?"}, message.to_param(), {"role": "user", "content": "Sure?"}]
        assert (await ask(again, tools=[SEARCH])).content[0].text == "Of course."
        with pytest.raises(anthropic.BadRequestError, match=r"tools\.0\.allowed_domains"):
            await ask(tools=[{**SEARCH, "allowed_domains": ["example.com"]}])


async def test_file_search(serve, claude, engine, stream):
    orchestrator = await serve(config_for(engine))
    SearchDouble(BUILT).serve(orchestrator)
    engine.replies += [Reply("", (SEARCH_FILES,)), Reply("In Dursley [1].")]
    message = await Asker(claude(orchestrator))("Where?", stream=stream, extra_body={"tools": [TOOL]})
    (cited,) = message.content[0].citations
    assert (cited.type, cited.source, cited.title) == ("search_result_location", "file-1", "history.pdf")
    assert cited.cited_text.startswith("The tandem was built in Dursley")


async def test_a_fallback_answers(serve, claude, engine):
    async with EngineDouble("small") as small:
        engine.replies.append(Reply(status=500))
        upstreams = [{"name": each.model, "url": each.url, "model": each.model} for each in (engine, small)]
        models = [{"name": "double", "fallback": "small"}]
        ask = Asker(claude(await serve(config_for(upstreams=upstreams, models=models, routing={"retries": 0}))))
        assert (await ask()).model == "small"
