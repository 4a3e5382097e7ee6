"""Guardrails on tasks: a client's words are judged, and a task's own schema and parameters are not."""

import pytest

from tests.sockets.tasks.conftest import FITS, GIVEN, OUTPUT, PATH, TICKET, read, says, with_tasks

BADGE = "B-1234"
SAYS = {"message": f"I am {BADGE}."}
TELLS = {**FITS, "summary": f"{BADGE} was charged twice."}
MISFIT = f"{BADGE} was charged twice."


def rail(action, *on):
    return {"name": "badges", "patterns": ["B-[0-9]{4}"], "at": on, "action": action}


def told(*decisions):
    return [{"name": "badges", "at": on, "action": action, "kinds": ["pattern"]} for on, action in decisions]


@pytest.fixture
def guarded(serve, engine):
    """Starts an orchestrator with this guardrail and the task."""
    engine.rule = lambda _: says(FITS)

    async def started(guardrail, **fields):
        return await serve(with_tasks(engine, {**TICKET, **fields}, guardrails=[guardrail]))

    return started


async def post(orchestrator, path=PATH, **fields):
    async with orchestrator.client.post(path, json=fields) as response:
        return response.status, await response.json()


async def test_an_input_is_blocked_and_others_beside_it_are_not(guarded, engine):
    orchestrator = await guarded(rail("block", "input"))
    status, document = await post(orchestrator, input=SAYS)
    assert (status, document["error"]["code"]) == (400, "content_filter")
    assert not engine.seen
    status, document = await post(orchestrator, inputs=[GIVEN, SAYS, GIVEN])
    assert [result.get("error", {}).get("code") for result in document["results"]] == [None, "content_filter", None]
    assert len(engine.seen) == 2


async def test_what_was_decided_about_an_earlier_answer_is_told_with_the_last(guarded, engine):
    """An input is masked once; that its first answer did not fit is no reason to tell nobody."""
    orchestrator = await guarded(rail("mask", "input", "output"))
    engine.replies += [says(MISFIT), says(TELLS)]
    status, document = await post(orchestrator, input=SAYS)
    assert (status, document["output"]["summary"]) == (200, "[PATTERN] was charged twice.")
    assert document["tandem"]["guardrails"] == told(("input", "mask"), ("output", "mask"))
    assert BADGE.encode() not in b"".join(seen.raw for seen in engine.seen)
    engine.replies += [says(MISFIT), says(TELLS)]
    async with orchestrator.client.post(PATH, json={"input": SAYS, "stream": True}) as response:
        events = read(await response.text())
    assert events[-1][1]["result"]["tandem"]["guardrails"] == told(("input", "mask"), ("output", "mask"))
    assert BADGE not in str(events)


async def test_an_output_is_withheld(guarded, engine):
    orchestrator = await guarded(rail("block", "output"))
    engine.rule = lambda _: says(TELLS)
    for path, fields in ((PATH, {"input": GIVEN}), ("/analyze", GIVEN)):
        status, document = await post(orchestrator, path, **fields)
        assert (status, document["error"]["code"]) == (400, "content_filter")


@pytest.mark.parametrize("action", ["block", "mask"])
async def test_what_the_task_says_itself_is_not_judged(guarded, engine, action):
    properties = {**OUTPUT["properties"], "badge": {"type": "string", "description": f"Such as {BADGE}"}}
    output = {**OUTPUT, "properties": properties}
    parameters = {"temperature": 0, "chat_template_kwargs": {"note": BADGE}, "chat_template": "{{ messages }}"}
    orchestrator = await guarded(rail(action, "input"), output=output, parameters=parameters)
    for _ in range(2):
        status, document = await post(orchestrator, input=GIVEN)
        assert (status, "tandem" in document) == (200, False), document
        body = engine.seen[-1].body
        assert body["response_format"]["json_schema"]["schema"] == output
        assert body.items() >= parameters.items()
