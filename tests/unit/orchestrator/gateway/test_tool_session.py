import orjson
import pytest
from tandem_contract.config import Tools
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import BadRequest, ToolLoopFailed
from tandem_orchestrator.gateway.request import checked, json_object
from tandem_orchestrator.gateway.tool_session import ToolSession, Turn, turn_of
from tandem_orchestrator.gateway.tool_use import ToolUse
from tandem_orchestrator.tools.passage import Passage
from tandem_orchestrator.tools.toolbox import Toolbox, ToolCall, ToolResult

SERVER, CLIENT = ToolCall("1", "add", "{}"), ToolCall("2", "book", "{}")


def conversation(settings=None, added=(), **fields):
    tools = [{"type": "function", "function": {"name": name}} for name in ("add", "book")]
    body = orjson.dumps({"model": "m", "messages": [{"role": "user"}], "tools": tools, **fields})
    use = ToolUse(Toolbox((), Tools()), frozenset({"add", "other"}), [orjson.Fragment(tool) for tool in added])
    return ToolSession(checked(ENDPOINTS[CHAT], json_object(body, 128)), use, settings or Tools())


def asked(session, *, stream=False):
    return orjson.loads(session.next_body(stream=stream))


def done(call, status="success"):
    return ToolResult(call, status, "3")


def test_a_turn_without_calls_is_the_last():
    assert conversation().server_calls(Turn("Hello")) == []


def test_calls_of_the_client_go_first():
    talk = conversation()
    turn = Turn(None, [SERVER, CLIENT])
    assert talk.server_calls(turn) == []
    assert talk.client_calls(turn) == [CLIENT]


def test_a_tool_that_nobody_declared_is_the_servers_to_refuse():
    call = ToolCall("3", "other", "{}")
    assert conversation().server_calls(Turn(None, [call])) == [call]


def test_usage_is_always_asked_of_a_stream_and_unknown_fields_stay():
    body = asked(conversation(stream_options={"continuous_usage_stats": True}, top_k=3), stream=True)
    assert (body["stream"], body["stream_options"], body["top_k"]) == (True, {"include_usage": True}, 3)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "add"}}])
def test_a_forced_choice_holds_for_one_pass(choice):
    talk = conversation(tool_choice=choice)
    assert asked(talk)["tool_choice"] == choice
    talk.add_round(Turn(None, [SERVER]), [done(SERVER)], 0.1)
    assert asked(talk)["tool_choice"] == "auto"


def test_no_choice_is_made_up():
    talk = conversation()
    talk.add_round(Turn(None, [SERVER]), [done(SERVER)], 0.1)
    assert "tool_choice" not in asked(talk)


@pytest.mark.parametrize("limit", [Tools(max_rounds=1), Tools(max_calls=1), Tools(total_seconds=0.1)])
def test_beyond_a_limit_no_tool_is_offered_and_none_is_run(limit):
    talk = conversation(limit)
    talk.add_round(Turn(None, [SERVER]), [done(SERVER)], 0.1)
    assert asked(talk)["tool_choice"] == "none"
    with pytest.raises(ToolLoopFailed):
        talk.server_calls(Turn(None, [SERVER]))


def test_broken_arguments_are_not_shown_to_the_engine_again():
    talk = conversation()
    for arguments, written in (('{"a', "{}"), ("[1]", "{}"), ('{"a":1}', '{"a":1}'), ("", "{}")):
        call = ToolCall("1", "add", arguments)
        status = "success" if arguments == "" else "invalid_arguments"
        fresh = conversation()
        fresh.add_round(Turn(None, [call]), [done(call, status)], 0.1)
        assert asked(fresh)["messages"][1]["tool_calls"][0]["function"]["arguments"] == written
    assert len(asked(talk)["messages"]) == 1


def test_a_second_broken_round_is_the_end():
    talk = conversation()
    talk.add_round(Turn(None, [SERVER]), [done(SERVER, "invalid_arguments")], 0.1)
    talk.add_round(Turn(None, [SERVER]), [done(SERVER)], 0.1)
    with pytest.raises(ToolLoopFailed, match="'add'"):
        talk.add_round(Turn(None, [SERVER]), [done(SERVER, "invalid_arguments")], 0.1)


def test_usage_is_summed():
    talk = conversation()
    for usage in ({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}, None, {"prompt_tokens": 1}):
        talk.add_usage(usage)
    assert talk.usage == {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 7}


def test_options_of_another_shape_are_refused():
    with pytest.raises(BadRequest, match="stream_options"):
        conversation(stream_options=3)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_is_handed_on_under_its_name(name):
    talk = conversation()
    talk.add_round(turn_of({"content": None, name: "Hm.", "tool_calls": []}), [done(SERVER)], 0.1)
    said = asked(talk)["messages"][1]
    assert said == {"role": "assistant", "content": None, name: "Hm.", "tool_calls": said["tool_calls"]}


def test_what_was_said_before_a_call_stays_said():
    talk = conversation()
    assert talk.texts_until(Turn("Hello")) == {}
    talk.add_round(Turn("Let me see. ", [SERVER], {"reasoning": "Add."}), [done(SERVER)], 0.1)
    talk.add_round(Turn(None, [SERVER], {"reasoning": " Again."}), [done(SERVER)], 0.1)
    assert talk.texts_until(Turn("Three.")) == {"content": "Let me see. Three.", "reasoning": "Add. Again."}
    assert talk.texts_until(Turn(None)) == {"content": "Let me see. ", "reasoning": "Add. Again."}


def test_a_message_becomes_a_turn():
    message = {"content": None, "tool_calls": [{"function": {"name": "add", "arguments": None}}, {"id": "x"}]}
    assert turn_of(message) == Turn(None, [ToolCall("call_0", "add", ""), ToolCall("x", "", "")])
    assert turn_of({"content": "Hi", "tool_calls": None, "reasoning": None}) == Turn("Hi")
    assert turn_of({"content": "Hi", "reasoning": "Hm", "reasoning_content": [1]}).reasoning == {"reasoning": "Hm"}


def test_the_first_pass_is_what_the_client_sent():
    raw = b'{"model":"m","messages":[{"role":"user"}],"tools":[{"function":{"name":"add"}}]}'
    request = checked(ENDPOINTS[CHAT], json_object(raw, 128))
    talk = ToolSession(request, ToolUse(Toolbox((), Tools()), frozenset({"add"})), Tools())
    assert talk.next_body(stream=False) == raw


def test_the_servers_own_declarations_follow_the_clients():
    body = asked(conversation(added=[b'{"function":{"name":"other"}}']))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["add", "book", "other"]


def test_a_server_s_declaration_takes_the_place_of_the_clients():
    other = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    talk = conversation(added=[orjson.dumps(other)])
    talk.use.replaced = frozenset({"add"})
    assert [tool["function"] for tool in asked(talk)["tools"]] == [{"name": "book"}, other["function"]]


def test_each_pass_holds_all_before_it():
    talk = conversation(stream=False, top_k=3)
    for number in (1, 2):
        talk.add_round(Turn(f"turn {number}", [SERVER]), [done(SERVER)], 0.1)
        body = asked(talk)
        assert [message["role"] for message in body["messages"]] == ["user", *["assistant", "tool"] * number]
        assert body["messages"][-2]["content"] == f"turn {number}"
        assert (body["top_k"], "stream" in body) == (3, False)


def test_what_tools_took_is_no_longer_there_to_take():
    talk = conversation(Tools(total_seconds=5))
    talk.add_round(Turn(None, [SERVER]), [done(SERVER)], 3.0)
    assert talk.seconds_left == 2.0


FOUND = Passage("Tandems are long.", "bikes.pdf", file_id="file-1")
SEARCH = ToolCall("4", "file_search", "{}")


def found(call=SEARCH, *passages):
    return ToolResult(call, "success", "", passages=passages)


def test_what_was_found_is_numbered_over_all_rounds():
    talk = conversation()
    for _ in range(2):
        talk.add_round(Turn(None, [SEARCH, SEARCH]), [found(SEARCH, FOUND), found(SEARCH, FOUND, FOUND)], 0.1)
    given = "".join(message["content"] or "" for message in asked(talk)["messages"] if message["role"] == "tool")
    assert [f'number="{n}"' in given for n in range(1, 8)] == [True] * 6 + [False]


def test_the_whole_answer_is_cited():
    talk = conversation()
    talk.add_round(Turn("Hm [1]. ", [SEARCH]), [found(SEARCH, FOUND)], 0.1)
    indices = [each["file_citation"]["index"] for each in talk.citations(Turn("Long [1]."))]
    assert indices == [3, 13]
    assert talk.citations(Turn(None)) == talk.citations(Turn(""))
    assert conversation().citations(Turn("Long [1].")) == []


@pytest.mark.parametrize(
    ("rule", "refused"),
    [([], ["add", "other"]), (["add"], ["other"]), (["*"], []), (["file_search"], ["add", "other"])],
)
def test_text_that_was_found_bounds_the_calls(rule, refused):
    talk = conversation(Tools(after_retrieval=rule))
    calls = [
        SERVER,
        ToolCall("3", "other", "{}"),
        ToolCall("5", "unknown", "{}"),
        SEARCH,
        ToolCall("6", "web_search", "{}"),
    ]
    assert [talk.refusal(call) for call in calls] == [None] * 5
    talk.add_round(Turn(None, [SEARCH]), [found(SEARCH)], 0.1)  # nothing
    talk.add_round(Turn(None, [SERVER]), [done(SERVER)], 0.1)
    assert [talk.refusal(call) for call in calls] == [None] * 5
    talk.add_round(Turn(None, [SEARCH]), [found(SEARCH, FOUND)], 0.1)
    assert [call.name for call in calls if talk.refusal(call)] == refused
