"""What clients send: each text of a request is judged, and what is no text is not let past."""

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from tandem_orchestrator.guardrails import rails
from tandem_orchestrator.guardrails.found import Span

from tests.engine_double import EngineDouble
from tests.sockets.guardrails.conftest import BADGE, KIND, MASK, post, rail
from tests.sockets.running import QUESTION, config_for

CHAT = "/v1/chat/completions"
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
SAYS = f"my badge is {BADGE}"


def user(content: Any) -> dict[str, Any]:
    return {"messages": [*QUESTION, {"role": "user", "content": content}]}


def tool(**function: Any) -> dict[str, Any]:
    return {"messages": QUESTION, "tools": [{"type": "function", "function": {"name": "look", **function}}]}


def schema(**properties: Any) -> dict[str, Any]:
    return {"parameters": {"type": "object", "properties": properties}}


def called(arguments: str, **beside: Any) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "done", **beside}
    return {"messages": [*QUESTION, {"role": "assistant", "content": None, "tool_calls": [call]}, result]}


HOLDING = [
    (CHAT, user(SAYS), "messages.1.content"),
    (CHAT, user([{"type": "text", "text": "hi"}, {"type": "text", "text": SAYS}]), "messages.1.content.1.text"),
    (CHAT, user([{"type": "text", "text": "B-1"}, {"type": "text", "text": "234"}]), "messages.1.content.0.text"),
    (CHAT, {"messages": [{"role": "system", "content": SAYS}, *QUESTION]}, "messages.0.content"),
    (CHAT, {"messages": [{"role": SAYS, "content": "hi"}]}, "messages.0.role"),
    (CHAT, {"messages": [{**QUESTION[0], "name": SAYS}]}, "messages.0.name"),
    (CHAT, {"messages": [{"role": "assistant", "content": "hi", "reasoning": SAYS}]}, "messages.0.reasoning"),
    (CHAT, called('{"q": ["\\u0042-1234"]}'), "messages.1.tool_calls.0.function.arguments.q.0"),
    (CHAT, called('{"B-1234": 1}'), "messages.1.tool_calls.0.function.arguments.B-1234"),
    (CHAT, called("B-1234, no JSON"), "messages.1.tool_calls.0.function.arguments"),
    (CHAT, tool(description=SAYS), "tools.0.function.description"),
    (CHAT, tool(**schema(q={"enum": [SAYS]})), "tools.0.function.parameters.properties.q.enum.0"),
    (CHAT, tool(**schema(**{BADGE: {}})), "tools.0.function.parameters.properties.B-1234"),
    (CHAT, {"messages": QUESTION, "guided_choice": [SAYS]}, "guided_choice.0"),
    (CHAT, {"messages": QUESTION, "chat_template_kwargs": {"note": SAYS}}, "chat_template_kwargs.note"),
    (CHAT, {"messages": QUESTION, "documents": [{"title": "a", "text": SAYS}]}, "documents.0.text"),
    (CHAT, {"messages": QUESTION, "a_field_to_come": {"a": [SAYS]}}, "a_field_to_come.a.0"),
    ("/v1/completions", {"prompt": ["hi", SAYS]}, "prompt.1"),
    ("/v1/completions", {"prompt": "hi", "suffix": SAYS}, "suffix"),
    ("/v1/embeddings", {"input": SAYS}, "input"),
    ("/v1/rerank", {"query": "hi", "documents": ["a", {"text": SAYS}]}, "documents.1.text"),
    ("/v1/score", {"text_1": "hi", "text_2": [SAYS]}, "text_2.0"),
    ("/v1/images/generations", {"prompt": SAYS}, "prompt"),
    ("/v1/responses", {"input": SAYS}, "input"),
    ("/v1/responses", {"input": "hi", "instructions": SAYS}, "input"),
]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_is_refused_wherever_it_holds_something(guarded, engine, decided, logged, stream):
    orchestrator = await guarded(rail())
    for path, fields, param in HOLDING:
        streams = path in (CHAT, "/v1/completions", "/v1/responses")
        more = {"stream": True} if stream and streams else {}
        status, document = await post(orchestrator, path, model="double", **fields, **more)
        assert status == 400, (path, fields, document)
        error = document["error"]
        assert (error["param"], error["code"], error["type"]) == (param, "content_filter", "invalid_request_error")
        assert error["guardrail"] == {"name": "badges", "at": "input", "kinds": [KIND]}
        assert error["message"] == f"guardrail badges: the request holds {KIND}; take it out"
    assert not engine.seen
    assert decided("badges", "input", "block", KIND) == len(HOLDING)
    told = [entry for entry in logged if entry["event"] == "guardrail"]
    assert len(told) == len(HOLDING)
    assert told[0].items() >= {"guardrail": "badges", "at": "input", "action": "block", "kinds": [KIND]}.items()
    assert told[0].items() >= {"tenant": "anonymous", "model": "double", "log_level": "info"}.items()
    assert BADGE not in json.dumps(told)


async def test_clients_of_other_apis_read_the_reason(guarded, engine):
    orchestrator = await guarded(rail())
    status, document = await post(orchestrator, "/chat", messages=[{"role": "user", "content": SAYS}])
    assert (status, document) == (400, {"detail": f"guardrail badges: the request holds {KIND}; take it out"})
    fields = {"model": "double", "max_tokens": 9, "messages": [{"role": "user", "content": SAYS}]}
    status, document = await post(orchestrator, "/v1/messages", **fields)
    assert (status, document["error"]["type"]) == (400, "invalid_request_error")
    assert document["error"]["guardrail"] == {"name": "badges", "at": "input", "kinds": [KIND]}
    assert not engine.seen


UNSEEN = [
    (CHAT, user([{"type": "text", "text": "hi"}, IMAGE]), "messages.1.content.1.image_url"),
    (CHAT, user([{"image_url": "data:image/png;base64,AA=="}]), "messages.1.content.0.image_url"),
    (CHAT, user([{"type": "input_audio", "input_audio": {}}]), "messages.1.content.0.input_audio"),
    (CHAT, user([{"type": "file", "file": {"file_data": "data:,"}}]), "messages.1.content.0.file"),
    (CHAT, called('{"a": "\\u0042-1234", "a": ""}'), "messages.1.tool_calls.0.function.arguments"),
    (CHAT, called('{"a":' * 900 + "1" + "}" * 900), "messages.1.tool_calls.0.function.arguments"),
    (CHAT, {"messages": QUESTION, "chat_template": "{{ 'B-' ~ '1234' }}"}, "chat_template"),
    ("/v1/completions", {"prompt": [1, 2]}, "prompt"),
    ("/v1/completions", {"prompt": ["a", [1, 2]]}, "prompt.1"),
    ("/v1/completions", {"prompt": "a", "prompt_embeds": "AA=="}, "prompt_embeds"),
    ("/v1/embeddings", {"input": [[1, 2]]}, "input.0"),
    ("/v1/rerank", {"query": "a", "documents": {"content": [IMAGE]}}, "documents.content.0.image_url"),
]


async def test_what_cannot_be_looked_into_is_refused_unless_failing_is_to_be_ignored(guarded, engine, decided):
    orchestrator = await guarded(rail())
    for path, fields, param in UNSEEN:
        status, document = await post(orchestrator, path, model="double", **fields)
        assert (status, document["error"]["param"]) == (400, param), (fields, document)
        assert document["error"]["message"] == f"guardrail badges: it cannot look into `{param}`; leave that out"
    assert decided("badges", "input", "error_blocked", "unseen") == len(UNSEEN)
    assert not engine.seen
    orchestrator = await guarded(rail(failurePolicy="Ignore"))
    status, document = await post(orchestrator, CHAT, model="double", **UNSEEN[0][1])
    assert (status, engine.seen[0].body["messages"][1]["content"][1]) == (200, IMAGE)
    told = {"name": "badges", "at": "input", "action": "error_ignored", "kinds": ["unseen"]}
    assert document["tandem"] == {"guardrails": [told]}


async def test_what_no_model_reads_is_not_judged(guarded, engine):
    orchestrator = await guarded(rail())
    fields = {"user": BADGE, "metadata": {"a": BADGE}, "safety_identifier": BADGE}
    call = {"id": BADGE, "type": "function", "function": {"name": "look", "arguments": "{}"}}
    result = {"role": "tool", "tool_call_id": BADGE, "content": "done"}
    messages = [*QUESTION, {"role": "assistant", "content": None, "tool_calls": [call]}, result]
    status, document = await post(orchestrator, CHAT, model="double", messages=messages, **fields)
    assert (status, "tandem" in document) == (200, False)
    assert engine.seen[0].body["user"] == BADGE
    assert document["choices"][0]["finish_reason"] == "stop"


async def test_what_is_found_is_masked_in_what_the_engine_gets(guarded, engine):
    orchestrator = await guarded(rail("mask"))
    split = [{"type": "text", "text": "so B-1"}, {"type": "text", "text": "234 it is, B-5678"}]
    fields = called('{"n": 12345678901234567890123, "q": "\\u0042-1234"}', content=f"{BADGE} and {BADGE}")
    fields["messages"][0] = {"role": "user", "content": split}
    status, document = await post(orchestrator, CHAT, model="double", **fields)
    assert status == 200, document
    messages = engine.seen[0].body["messages"]
    assert [part["text"] for part in messages[0]["content"]] == ["so [BADGE]", "[BADGE] it is, [BADGE]"]
    arguments = messages[1]["tool_calls"][0]["function"]["arguments"]
    assert json.loads(arguments) == {"n": 12345678901234567890123, "q": MASK}
    assert messages[2]["content"] == f"{MASK} and {MASK}"
    decisions = [{"name": "badges", "at": on, "action": "mask", "kinds": [KIND]} for on in ("input", "toolResults")]
    assert document["tandem"] == {"guardrails": decisions}
    status, document = await post(orchestrator, CHAT, model="double", **tool(**schema(**{BADGE: {}})))
    assert (status, document["error"]["code"]) == (400, "content_filter")  # in place of a name nothing else can stand
    assert len(engine.seen) == 1


async def test_a_part_in_which_nothing_of_a_hit_stands_stays_as_it_is(guarded, engine, monkeypatch):
    """The hit begins with what an engine puts between the parts."""
    spaced = SimpleNamespace(
        longest=None, find=lambda text: [Span(*hit.span(), KIND) for hit in re.finditer(r"\sB-\d{4}", text)]
    )
    monkeypatch.setattr(rails, "finder", lambda _: spaced)
    orchestrator = await guarded(rail("mask"))
    parts = [{"type": "text", "text": "it is"}, {"type": "text", "text": f"{BADGE}, he says"}]
    assert (await post(orchestrator, CHAT, model="double", **user(parts)))[0] == 200
    content = engine.seen[0].body["messages"][1]["content"]
    assert [part["text"] for part in content] == ["it is", f"{MASK}, he says"]


async def test_a_flag_is_told_and_changes_nothing(guarded, engine, decided):
    orchestrator = await guarded(rail("flag"))
    status, document = await post(orchestrator, CHAT, model="double", **user(SAYS))
    assert (status, engine.seen[0].body["messages"][1]["content"]) == (200, SAYS)
    told = {"name": "badges", "at": "input", "action": "flag", "kinds": [KIND]}
    assert document["tandem"] == {"guardrails": [told]}
    assert decided("badges", "input", "flag", KIND) == 1
    status, document = await post(orchestrator, "/v1/embeddings", model="double", input=SAYS)
    assert (status, document["tandem"]) == (200, {"guardrails": [told]})
    status, document = await post(orchestrator, CHAT, model="double", **user([IMAGE]))
    assert (status, document["tandem"]["guardrails"][0]["action"]) == (200, "error_ignored")


async def test_a_tools_result_that_a_client_brings_is_told_apart(guarded, engine):
    orchestrator = await guarded(rail("block", "toolResults"))
    assert (await post(orchestrator, CHAT, model="double", **user(SAYS)))[0] == 200
    status, document = await post(orchestrator, CHAT, model="double", **called("{}", content=SAYS))
    assert (status, document["error"]["param"]) == (400, "messages.2.content")
    assert document["error"]["guardrail"]["at"] == "toolResults"


async def test_all_rails_look_and_what_blocks_wins(guarded, engine):
    first, second = rail("mask") | {"name": "first"}, rail("flag") | {"name": "second"}
    orchestrator = await guarded(first, second, rail())
    status, document = await post(orchestrator, CHAT, model="double", **user(SAYS))
    assert (status, document["error"]["guardrail"]["name"]) == (400, "badges")
    orchestrator = await guarded(first, second)
    status, document = await post(orchestrator, CHAT, model="double", **user(SAYS))
    assert [each["action"] for each in document["tandem"]["guardrails"]] == ["mask", "flag"]


async def test_rails_are_for_models_by_any_name_and_for_those_that_answer_in_their_place(serve, engine):
    async with EngineDouble("other") as other, EngineDouble("third") as third:
        models = [{"name": "double", "aliases": ["fast"], "fallback": "other"}, {"name": "other"}]
        for named, guarded in (("double", "double fast"), ("fast", "double fast"), ("other", "double fast other")):
            settings = {"models": models, "guardrails": [rail(models=[named])]}
            orchestrator = await serve(config_for(engine, other, third, **settings))
            for model in ("double", "fast", "other", "third"):
                status, _ = await post(orchestrator, CHAT, model=model, **user(SAYS))
                assert status == (400 if model in guarded.split() else 200), (named, model)


async def test_rails_are_for_tenants(serve, engine, tmp_path):
    file = tmp_path / "keys.yaml"
    file.write_text("- {key: tk-a, tenant: acme}\n- {key: tk-b, tenant: beta}\n")
    settings = {"keys": {"files": [{"file": str(file)}]}, "guardrails": [rail(tenants=["acme"])]}
    orchestrator = await serve(config_for(engine, **settings))
    for key, wanted in (("tk-a", 400), ("tk-b", 200), ("tk-a", 400)):
        headers = {"authorization": f"Bearer {key}"}
        fields = {"model": "double", **user(SAYS)}
        async with orchestrator.client.post(CHAT, json=fields, headers=headers) as response:
            assert response.status == wanted


async def test_a_reload_changes_what_is_judged(guarded, engine):
    orchestrator = await guarded()
    assert (await post(orchestrator, CHAT, model="double", **user(SAYS)))[0] == 200
    orchestrator.app.reload(config_for(engine, guardrails=[rail()]))
    assert (await post(orchestrator, CHAT, model="double", **user(SAYS)))[0] == 400
    orchestrator.app.reload(config_for(engine))
    assert (await post(orchestrator, CHAT, model="double", **user(SAYS)))[0] == 200


async def test_a_request_in_which_there_is_too_much_is_refused(guarded, engine):
    orchestrator = await guarded(rail("mask"))
    status, document = await post(orchestrator, "/v1/embeddings", model="double", input=["a"] * 20_001)
    assert (status, document["error"]["code"]) == (400, "too_many_values")
    status, document = await post(orchestrator, "/v1/embeddings", model="double", input=BADGE * 20_001)
    assert (status, document["error"]["code"]) == (400, "content_filter")
    assert not engine.seen


async def test_what_the_service_says_itself_is_not_judged(guarded, engine):
    orchestrator = await guarded(rail(), models=[{"name": "double", "systemPrompt": SAYS}])
    status, _ = await post(orchestrator, CHAT, model="double", messages=QUESTION)
    assert (status, engine.seen[0].body["messages"][0]["content"]) == (200, SAYS)
    assert (await post(orchestrator, "/v1/moderations", model="double", input=SAYS))[0] == 200
    assert (await post(orchestrator, "/tokenize", model="double", prompt=SAYS))[0] == 200
