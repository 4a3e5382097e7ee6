"""Requests of Anthropic's API as chats, and what is said of those that are none."""

from typing import Any

import pytest
from tandem_contract.config import KeyLimits, Tools
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import BadRequest, Forbidden
from tandem_orchestrator.messages.asked import Asked
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.toolbox import Toolbox

TOOL = {"name": "look", "input_schema": {"type": "object"}}
SERVERS = {"type": "calculate_20260101", "name": "calculate_math"}
USE = {"type": "tool_use", "id": "a", "name": "look", "input": {"n": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "it"}
IMAGE: dict[str, Any] = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def block(**fields: Any) -> dict[str, Any]:
    return {"messages": [user([fields])]}


def asked(principal: Principal | None = None, *, counted: bool = False, **fields: Any) -> Asked:
    payload = {"model": "m", "max_tokens": 5, "messages": [user("Hello")], **fields}
    payload = {name: value for name, value in payload.items() if value is not ...}
    return Asked(
        payload,
        "thought",
        Toolbox([Calculator()], Tools()),
        principal or Principal("k", "t", KeyLimits()),
        counted=counted,
    )


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": ...}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"max_tokens": ...}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"messages": ...}, "messages"),
        ({"messages": {}}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [""]}, "messages.0"),
        ({"messages": [user("")]}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages.0.role"),
        ({"messages": [user(5)]}, "messages.0.content"),
        ({"messages": [user(["x"])]}, "messages.0.content.0"),
        ({"messages": [user("x"), assistant(7)]}, "messages.1.content.0"),
        ({"messages": [user("x"), {"role": "assistant", "content": 7}]}, "messages.1.content"),
        ({"messages": [user("x"), assistant(text("so"))]}, "messages"),
        ({"messages": [user("x"), assistant({"type": "image"})]}, "messages.1.content.0.type"),
        ({"messages": [user("x"), assistant({"type": "text"})]}, "messages.1.content.0.text"),
        ({"messages": [user("x"), assistant({"type": "thinking"})]}, "messages.1.content.0.thinking"),
        ({"messages": [user("x"), assistant({**USE, "id": 5})]}, "messages.1.content.0.id"),
        ({"messages": [user("x"), assistant({**USE, "name": None})]}, "messages.1.content.0.name"),
        ({"messages": [user("x"), assistant({**USE, "input": "{}"})]}, "messages.1.content.0.input"),
        ({"messages": [user("x"), assistant(USE, USE), user([RESULT])]}, "messages.1.content.1.id"),
        ({"messages": [user("x"), assistant(USE)]}, "messages"),
        ({"messages": [user("x"), assistant(USE), user("y"), assistant(text("z")), user("y")]}, "messages.3"),
        ({"messages": [user([RESULT])]}, "messages.0.content.0.tool_use_id"),
        ({"messages": [user("x"), assistant(USE), user([RESULT, RESULT])]}, "messages.2.content.1.tool_use_id"),
        (
            {"messages": [user("x"), assistant(USE), user([{**RESULT, "is_error": "no"}])]},
            "messages.2.content.0.is_error",
        ),
        (
            {"messages": [user("x"), assistant(USE), user([{**RESULT, "content": [USE]}])]},
            "messages.2.content.0.content.0.type",
        ),
        ({"messages": [system([IMAGE]), user("x")]}, "messages.0.content.0.type"),
        (block(type="text"), "messages.0.content.0.text"),
        (block(type="text", text=["x"]), "messages.0.content.0.text"),
        (block(type=["text"]), "messages.0.content.0.type"),
        (block(), "messages.0.content.0.type"),
        (block(type="thinking", thinking="x"), "messages.0.content.0.type"),
        (block(type="image"), "messages.0.content.0.source"),
        (block(type="image", source={"type": "file", "file_id": "f"}), "messages.0.content.0.source.type"),
        (block(type="image", source={"type": "url", "url": "file:///etc/passwd"}), "messages.0.content.0.source.url"),
        (
            block(type="image", source={"type": "base64", "media_type": ["image/png"], "data": ""}),
            "messages.0.content.0.source.media_type",
        ),
        (
            block(type="image", source={"type": "base64", "media_type": "image/png"}),
            "messages.0.content.0.source.data",
        ),
        (block(type="document", source={"type": "url"}), "messages.0.content.0.source.type"),
        (block(type="document", source={"type": "text"}), "messages.0.content.0.source.data"),
        (block(type="document", source={"type": "base64"}), "messages.0.content.0.source.media_type"),
        (block(type="document", title=5, source={"type": "text", "data": ""}), "messages.0.content.0.title"),
        (
            block(type="document", source={"type": "content", "content": [{"type": "document"}]}),
            "messages.0.content.0.source.content.0.type",
        ),
        (block(type="search_result", content="x", source="s"), "messages.0.content.0.title"),
        ({"system": 5}, "system"),
        ({"system": [IMAGE]}, "system.0.type"),
        ({"stream": "yes"}, "stream"),
        ({"temperature": 1.5}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": "1"}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"stop_sequences": [5]}, "stop_sequences"),
        ({"tools": {}}, "tools"),
        ({"tools": ["look"]}, "tools.0"),
        ({"tools": [{"name": "look"}]}, "tools.0.input_schema"),
        ({"tools": [{"name": "look", "input_schema": {}}]}, "tools.0.input_schema.type"),
        ({"tools": [{**TOOL, "name": "l oo k"}]}, "tools.0.name"),
        ({"tools": [{**TOOL, "name": "look\n"}]}, "tools.0.name"),
        ({"tools": [{**TOOL, "description": []}]}, "tools.0.description"),
        ({"tools": [{**TOOL, "strict": 1}]}, "tools.0.strict"),
        ({"tools": [TOOL, TOOL]}, "tools.1.name"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.0.type"),
        ({"tools": [{"type": ["custom"], "name": "bash"}]}, "tools.0.type"),
        ({"tools": [{**SERVERS, "blocked_domains": ["x"]}]}, "tools.0.blocked_domains"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {}}, "tool_choice.type"),
        ({"tools": [TOOL], "tool_choice": {"type": []}}, "tool_choice.type"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "tool_choice.name"),
        (
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": 1}},
            "tool_choice.disable_parallel_tool_use",
        ),
        ({"thinking": True}, "thinking"),
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "adaptive", "display": "loud"}}, "thinking.display"),
        ({"output_config": []}, "output_config"),
        ({"output_config": {"effort": 5}}, "output_config.effort"),
        ({"output_config": {"format": "json"}}, "output_config.format"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format.type"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"url": "https://example.com"}]}, "mcp_servers"),
        ({"n": 2}, "n"),
        ({"double": {}}, "double"),
    ],
)
def test_what_is_wrong_is_named(fields, path):
    with pytest.raises(BadRequest) as found:
        asked(**fields)
    assert found.value.param == path
    assert found.value.message.startswith(f"{path}: ")


def chat(*messages: dict[str, Any], **fields: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked(messages=list(messages), **fields).chat["messages"]
    return found


def test_one_instruction_at_the_start():
    """Of blocks, and of messages that come before anything else; one that tells whose request it is stays away."""
    billed = text("x-anthropic-billing-header: cc_version=2; cch=f00;")
    found = chat(system("Be kind."), user("Hello"), system=[billed, text("Be brief."), text("")])
    assert found == [{"role": "system", "content": "Be brief.\n\nBe kind."}, user("Hello")]


def test_turns_in_a_row_are_one():
    found = chat(user("a"), user([text("b"), IMAGE]), assistant(text("c")), assistant(text("d")), user("e"))
    shown = {"type": "image_url", "image_url": {"url": IMAGE["source"]["url"]}}
    said = [text("a"), text("b"), shown]
    assert found == [user(said), {"role": "assistant", "content": "cd"}, user("e")]


def test_what_instructs_later_stands_where_it_was():
    """With what the user says, or what a tool gave: never between a call and its result."""
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"n":1}'}}
    found = chat(
        user("x"), system("one"), assistant(USE), system("two"), user([RESULT]), assistant(text("y")), system("z")
    )
    assert found == [
        user("x\n\none"),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "it\n\ntwo"},
        {"role": "assistant", "content": "y"},
        user("z"),
    ]


def test_results_come_before_what_is_said_beside_them():
    other = {**USE, "id": "b"}
    shown = {"type": "image_url", "image_url": {"url": IMAGE["source"]["url"]}}
    given = {
        "type": "tool_result",
        "tool_use_id": "b",
        "content": [text("b"), IMAGE, {"type": "tool_reference", "tool_name": "c"}],
    }
    found = chat(user("x"), assistant(USE, other), user([text("so"), {**RESULT, "content": None}]), user([given]))
    assert found[2:] == [
        {"role": "tool", "tool_call_id": "a", "content": ""},
        {"role": "tool", "tool_call_id": "b", "content": "b\n\nc"},
        user([text("so"), shown]),
    ]


def test_what_another_service_wrote_is_left_out():
    theirs = [{"type": "server_tool_use", "id": "s"}, {"type": "web_search_tool_result", "content": []}]
    found = chat(user("x"), assistant(*theirs, {"type": "redacted_thinking", "data": "x"}, text("y")), user("z"))
    assert found[1] == {"role": "assistant", "content": "y"}


def test_a_document_of_parts():
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}}
    parts = {"type": "document", "title": "T", "source": {"type": "content", "content": [text("one"), IMAGE]}}
    found = {"type": "search_result", "title": "R", "source": "s", "content": [text("two")]}
    *head, image, title, given, file = chat(user([parts, found, pdf]))[0]["content"]
    assert head == [text("T"), text("one")]
    assert (image["type"], title, given) == ("image_url", text("R (s)"), text("two"))
    assert file["file"] == {"filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"}


def test_a_tool_of_the_service_under_anthropics_type():
    declared = asked(tools=[SERVERS, TOOL], tool_choice={"type": "tool", "name": "calculate_math"}).chat
    assert declared["tools"][0]["function"]["parameters"]["required"] == ["expression"]
    assert declared["tool_choice"]["function"]["name"] == "calculate_math"
    with pytest.raises(Forbidden):
        asked(Principal("k", "t", KeyLimits(), tools=frozenset({"other"})), tools=[SERVERS])


def test_what_changes_nothing_is_taken():
    ignored: dict[str, Any] = {
        "metadata": {"user_id": "u"},
        "service_tier": "auto",
        "context_management": {"edits": []},
        "speed": None,
    }
    empty: dict[str, Any] = {
        "mcp_servers": [],
        "container": None,
        "tools": [],
        "system": None,
        "tool_choice": None,
        "top_k": None,
    }
    assert asked(**ignored, **empty).chat == {"messages": [user("Hello")], "max_tokens": 5}


def test_one_that_is_counted_needs_no_bound():
    found = asked(counted=True, max_tokens=..., stream=True)
    assert (found.chat, found.stream) == ({"messages": [user("Hello")]}, False)
