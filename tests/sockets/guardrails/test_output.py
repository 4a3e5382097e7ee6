"""What models say in one piece: masked, withheld or flagged, whichever way it was asked."""

import json

import aiohttp
import pytest

from tests.engine_double import Call, Reply
from tests.engine_double.canned import whole
from tests.sockets.guardrails.conftest import BADGE, KIND, MASK, post, rail, told
from tests.sockets.running import QUESTION, config_for

CHAT = "/v1/chat/completions"
SAYS = f"it is {BADGE}."
MASKED = f"it is {MASK}."
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


async def chat(orchestrator, **fields):
    status, document = await post(orchestrator, CHAT, model="double", messages=QUESTION, **fields)
    assert status == 200, document
    return document["choices"], document


async def test_a_blocked_choice_has_no_content_and_others_go_on(guarded, engine, decided, logged):
    engine.rule = lambda _: Reply(SAYS, reasoning="hm")
    orchestrator = await guarded(rail("block", "output"))
    choices, document = await chat(orchestrator, n=2, logprobs=True)
    for n, choice in enumerate(choices):
        said = {"role": "assistant", "content": None}
        expected = {"index": n, "message": said, "logprobs": None, "finish_reason": "content_filter"}
        assert choice == expected
    assert document["tandem"] == told("block")
    assert document["usage"]["completion_tokens"]
    assert decided("badges", "output", "block", KIND) == 1
    assert BADGE not in json.dumps(document) + json.dumps(logged)


@pytest.mark.parametrize("fields", [{"text": SAYS}, {"reasoning": SAYS, "text": "hi"}])
async def test_content_and_reasoning_are_masked(guarded, engine, fields):
    engine.rule = lambda _: Reply(**fields)
    orchestrator = await guarded(rail("mask", "output"))
    (choice,), document = await chat(orchestrator)
    assert MASKED in (choice["message"]["content"], choice["message"].get("reasoning"))
    assert (choice["finish_reason"], document["tandem"]) == ("stop", told("mask"))


async def test_no_token_tells_what_was_masked_or_blocked(guarded, engine):
    tokens = [{"token": SAYS, "logprob": -0.5, "bytes": [*SAYS.encode()], "top_logprobs": []}]
    fields = {"logprobs": {"content": tokens}, "finish_reason": "stop", "token_ids": [7], "said_again": [SAYS]}
    said = json.dumps({"choices": [{"index": 0, "message": {"content": SAYS}, **fields}]}).encode()
    engine.rule = lambda _: Reply(raw=whole(said))
    for action in ("mask", "block"):
        orchestrator = await guarded(rail(action, "output"))
        (choice,), document = await chat(orchestrator, logprobs=True)
        assert BADGE not in json.dumps(document)
        assert "token_ids" not in choice
        asked = {"model": "double", "input": "hi", "store": False, "include": ["message.output_text.logprobs"]}
        status, document = await post(orchestrator, "/v1/responses", **asked)
        assert (status, BADGE in json.dumps(document)) == (200, False)


async def test_a_flag_changes_nothing_and_nothing_is_told_of_nothing(guarded, engine):
    engine.rule = lambda _: Reply(SAYS)
    orchestrator = await guarded(rail("flag", "output"))
    (choice,), document = await chat(orchestrator)
    assert (choice["message"]["content"], document["tandem"]) == (SAYS, told("flag"))
    engine.rule = lambda _: Reply("hi")
    _, document = await chat(orchestrator)
    assert "tandem" not in document


async def test_calls_of_the_clients_tools(guarded, engine):
    engine.rule = lambda _: Reply("", (Call("look", '{"q": "\\u0042-1234", "n": 1}'),))
    orchestrator = await guarded(rail("mask", "toolArguments"))
    (choice,), document = await chat(orchestrator, tools=[LOOK])
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"q": MASK, "n": 1}
    assert document["tandem"] == told("mask", "toolArguments")
    orchestrator = await guarded(rail("block", "toolArguments"))
    (choice,), _ = await chat(orchestrator, tools=[LOOK])
    assert (choice["message"], choice["finish_reason"]) == ({"role": "assistant", "content": None}, "content_filter")
    engine.rule = lambda _: Reply("", (Call("look", '{"q": "\\u0042-1234", "q": ""}'),))
    (choice,), document = await chat(orchestrator, tools=[LOOK])  # whose reader may take either value
    assert choice["finish_reason"] == "content_filter"
    assert document["tandem"]["guardrails"][0]["action"] == "error_blocked"


async def test_completions(guarded, engine):
    engine.rule = lambda _: Reply(SAYS)
    for action, text, reason in (("mask", MASKED, "stop"), ("block", "", "content_filter")):
        orchestrator = await guarded(rail(action, "output"))
        status, document = await post(orchestrator, "/v1/completions", model="double", prompt="hi", logprobs=1)
        (choice,) = document["choices"]
        assert (status, choice["text"], choice["finish_reason"], choice["logprobs"]) == (200, text, reason, None)
        assert document["tandem"] == told(action)


async def test_messages(guarded, engine):
    engine.rule = lambda _: Reply(SAYS)
    for action, content, reason in (("mask", [MASKED], "end_turn"), ("block", [], "refusal")):
        orchestrator = await guarded(rail(action, "output"))
        status, document = await post(orchestrator, "/v1/messages", model="double", max_tokens=9, messages=QUESTION)
        assert (status, [block["text"] for block in document["content"]]) == (200, content)
        assert (document["stop_reason"], document["tandem"]) == (reason, told(action))


async def test_the_simple_chat(guarded, engine):
    engine.rule = lambda _: Reply(SAYS)
    orchestrator = await guarded(rail("block", "output"))
    status, document = await post(orchestrator, "/chat", messages=QUESTION)
    assert (status, document) == (200, {"content": "", "finish_reason": "content_filter"})


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_responses_are_kept_as_they_were_given(guarded, engine, url):
    engine.rule = lambda _: Reply(SAYS, reasoning=SAYS)
    orchestrator = await guarded(rail("mask", "output"), database={"url": url})
    status, document = await post(orchestrator, "/v1/responses", model="double", input="hi")
    assert status == 200, document
    texts = [part["text"] for item in document["output"] for part in item["content"]]
    assert (status, document["status"], texts) == (200, "completed", [MASKED, MASKED])
    assert document["tandem"] == told("mask")
    assert await orchestrator.get(f"/v1/responses/{document['id']}") == (200, document)

    orchestrator = await guarded(rail("block", "output"))
    status, document = await post(orchestrator, "/v1/responses", model="double", input="hi", store=False)
    assert status == 200, document
    assert (document["status"], document["output"]) == ("incomplete", [])
    assert document["incomplete_details"] == {"reason": "content_filter"}
    assert document["tandem"] == told("block")


async def test_a_response_gives_no_blocked_call_to_its_client(guarded, engine):
    engine.rule = lambda _: Reply("let me look", (Call("look", f'{{"q": "{BADGE}"}}'),))
    orchestrator = await guarded(rail("block", "toolArguments"))
    tools = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
    asked = {"model": "double", "input": "hi", "tools": tools, "store": False}
    status, document = await post(orchestrator, "/v1/responses", **asked)
    assert (status, document["status"]) == (200, "incomplete")
    assert [item["type"] for item in document["output"]] == ["message"]
    assert BADGE not in json.dumps(document)


async def test_an_answer_that_was_kept_is_judged_again(serve, engine, redis):
    engine.rule = lambda _: Reply(SAYS)
    settings = {"redis": {**redis, "answersSeconds": 60}}
    orchestrator = await serve(config_for(engine, **settings))
    (choice,), _ = await chat(orchestrator, temperature=0)
    assert choice["message"]["content"] == SAYS
    orchestrator.app.reload(config_for(engine, guardrails=[rail("mask", "output")], **settings))
    for _ in range(2):
        (choice,), _ = await chat(orchestrator, temperature=0)
        assert choice["message"]["content"] == MASKED
    assert len(engine.seen) <= 2


async def test_transcripts(guarded, engine):
    engine.rule = lambda _: Reply(SAYS)

    async def heard(orchestrator, **fields):
        form = aiohttp.FormData({"model": "double", **fields})
        form.add_field("file", b"RIFF", filename="a.wav")
        async with orchestrator.client.post("/v1/audio/transcriptions", data=form) as response:
            raw = await response.read()
            return response.status, json.loads(raw) if response.content_type == "application/json" else raw.decode()

    orchestrator = await guarded(rail("mask"))
    status, document = await heard(orchestrator)
    assert (status, document["text"], document["tandem"]) == (200, MASKED, told("mask"))
    assert document.keys().isdisjoint(("words", "segments"))
    status, document = await heard(orchestrator, stream="true")
    assert (status, document["error"]["param"]) == (400, "stream")
    orchestrator = await guarded(rail())
    status, document = await heard(orchestrator)
    assert (status, document["error"]["guardrail"]["at"]) == (400, "output")
    assert len(engine.seen) == 2
    status, document = await heard(orchestrator, prompt=SAYS)
    assert (status, document["error"]["param"], len(engine.seen)) == (400, "prompt", 2)
