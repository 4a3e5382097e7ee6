"""Schemas that take all there is, and clients that leave: nobody else notices."""

import asyncio
import os
from pathlib import Path
from typing import Any

import orjson
import pytest
from tandem_orchestrator.engines.schema_checks import SchemaChecks
from tandem_orchestrator.errors import BadRequest

from tests.engine_double import Reply
from tests.sockets.running import question, until
from tests.sockets.structured.conftest import FITS, MISSES, PERSON, by_schema

ASKED = by_schema(PERSON)


def doubling(times):
    """A schema whose check takes two to the power of `times` steps."""
    parts = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(times)}
    return {"$defs": {**parts, f"a{times}": {"type": "string"}}, "$ref": "#/$defs/a0"}


SLOW = by_schema(doubling(60))
LARGE: dict[str, Any] = {"patternProperties": {f"(a{{1,100}}){{1,20}}{n}": {} for n in range(5000)}}


def helpers():
    """Processes that check."""
    tasks = Path("/proc/self/task").iterdir()
    children = [pid for task in tasks for pid in (task / "children").read_text().split()]
    return [pid for pid in children if b"schema_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def ask(orchestrator, key, **fields):
    headers = {"Authorization": f"Bearer {key}"}
    async with orchestrator.client.post("/v1/chat/completions", json=question(**fields), headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (SLOW, "takes longer than 1 s to check"),
        (by_schema(LARGE), "is too much: with repetitions written out"),
        (by_schema({"$ref": "http://127.0.0.1:9/x"}), "must lead to a place in the schema itself"),
        (by_schema({"$ref": "file:///etc/passwd"}), "must lead to a place in the schema itself"),
        (by_schema({"$schema": "http://127.0.0.1:9/x"}), "Unknown meta-schema"),
        (by_schema({"pattern": "(a"}), 'is not a "regex"'),
    ],
    ids=["slow", "large", "http", "file", "meta-schema", "regex"],
)
async def test_the_client_is_told_what_is_wrong_with_its_schema(start, engine, asked, says):
    engine.rule = lambda _: Reply("1")
    orchestrator = await start()
    status, answer = await orchestrator.chat(response_format=asked)
    assert (status, answer["error"]["code"]) == (400, "invalid_schema")
    assert answer["error"]["param"].startswith("response_format")
    assert says in answer["error"]["message"]
    assert len(engine.seen) == (asked is SLOW), "only an answer tells how long it takes"
    engine.rule = lambda _: Reply(FITS)
    assert (await orchestrator.chat(response_format=ASKED))[0] == 200


async def test_a_schema_that_takes_more_memory_than_it_may_have_ends_its_process_alone():
    checks = SchemaChecks()
    with pytest.raises(BadRequest, match="takes more memory to check"):
        await checks.look(orjson.dumps(LARGE), None)
    await checks.look(orjson.dumps(PERSON), None)
    await checks.close()


async def test_schemas_that_refer_to_themselves_are_followed_as_far_as_the_answer_goes(start, engine):
    tree = {"type": "object", "properties": {"of": {"$ref": "#"}}, "additionalProperties": False}
    engine.says('{"of": {"of": 1}}', '{"of": {"of": {}}}')
    status, answer = await (await start()).chat(response_format=by_schema(tree))
    assert (status, answer["choices"][0]["message"]["content"]) == (200, '{"of": {"of": {}}}')
    assert 'of.of: 1 is not of type "object"' in engine.seen[1].body["messages"][-1]["content"]


async def test_a_tenant_whose_checks_take_long_holds_up_its_own_alone(start, engine):
    orchestrator = await start(keys={"values": ["a:a", "b:b"]})
    engine.rule = lambda request: Reply(FITS if "age" in str(request) else "1")
    flood = [asyncio.create_task(ask(orchestrator, "a", response_format=SLOW)) for _ in range(6)]
    await engine.until(lambda: sum(seen.outcome == "answered" for seen in engine.seen) == len(flood), 30)
    assert (await ask(orchestrator, "b", response_format=ASKED))[0] == 200
    assert (await ask(orchestrator, "b"))[0] == 200
    assert (await ask(orchestrator, "a"))[0] == 200
    assert not any(task.done() for task in flood[1:]), "they take a second each, one after the other"
    for task in flood:
        task.cancel()
    await asyncio.wait(flood)
    await until(lambda: orchestrator.busy == 0)


async def test_a_client_that_leaves_ends_what_goes_on_for_it(start, engine, lines):
    orchestrator = await start()
    hanging = Reply(before_first_byte=30)
    replies = [hanging, Reply(MISSES), hanging, Reply("1")]
    engine.rule = lambda _: replies.pop(0)
    for seen, stream in ((1, False), (3, True)):  # in the first pass, and in the second
        task = asyncio.create_task(
            orchestrator.client.post("/v1/chat/completions", json=question(response_format=ASKED, stream=stream))
        )
        await engine.until(lambda seen=seen: len(engine.seen) == seen and engine.running == 1)
        task.cancel()
        await engine.until(lambda: engine.seen[-1].outcome == "left")
    task = asyncio.create_task(orchestrator.chat(response_format=SLOW))
    await engine.until(lambda: len(engine.seen) == 4 and engine.running == 0)
    (helper,) = helpers()
    task.cancel()
    await until(lambda: not Path(f"/proc/{helper}").exists())
    await until(lambda: len([line for line in lines if line["status"] == 499]) == 3)
    first, second, third = (line["prompt_tokens"] for line in lines if line["status"] == 499)
    assert 0 < first < second, "what the engine had begun is charged"
    assert third == 7 * 2
    assert orchestrator.busy == 0


async def test_a_process_that_was_killed_is_not_missed(start, engine):
    engine.rule = lambda _: Reply(FITS)
    orchestrator = await start()
    assert (await orchestrator.chat(response_format=ASKED))[0] == 200
    (helper,) = helpers()
    os.kill(int(helper), 9)
    await until(lambda: not Path(f"/proc/{helper}").exists())
    assert (await orchestrator.chat(response_format=ASKED))[0] == 200
