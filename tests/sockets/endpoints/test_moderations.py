"""/v1/moderations by rules, by a guard model, and by an engine of its own."""

import hashlib

import openai
import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.running import AT_ONCE, config_for

RULES = [
    {"category": "violence", "words": ["kill them"], "patterns": ["(?i)build a .{0,20}bomb"]},
    {"category": "company/secrets", "words": ["Project X"]},
]
PATH = "/v1/moderations"


def client_of(orchestrator, key="none"):
    return openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key=key, max_retries=0)


async def refused(orchestrator, **fields):
    async with orchestrator.client.post(PATH, json=fields) as response:
        error = (await response.json())["error"]
        return response.status, error["param"], error["code"]


async def test_rules_judge_by_openais_client(serve, engine, lines):
    orchestrator = await serve(config_for(engine, moderations={"rules": RULES}))
    async with client_of(orchestrator) as client:
        answer = await client.moderations.create(input=["Kill  THEM all", "skill themes", "it is project x."])
    assert (answer.model, [each.flagged for each in answer.results]) == ("rules", [True, False, True])
    first, _, third = answer.results
    assert (first.categories.violence, first.categories.self_harm_intent) == (True, False)
    assert (first.category_scores.violence, first.category_scores.hate) == (1, 0)
    assert first.category_applied_input_types.violence == ["text"]
    assert third.categories.model_dump()["company/secrets"] is True
    assert not engine.seen
    assert lines[-1]["status"] == 200


async def test_a_guard_model_judges_beside_the_rules(serve, engine, lines):
    settings = {"model": "guard", "rules": RULES}
    async with EngineDouble("guard") as guard:
        guard.rule = lambda asked: Reply("\n\nunsafe\nS10,S99" if "hateful" in str(asked["messages"]) else "safe")
        tools = {"attach": "always"}
        orchestrator = await serve(config_for(engine, guard, moderations=settings, tools=tools))
        async with client_of(orchestrator) as client:
            answer = await client.moderations.create(
                model="omni-moderation-latest", input=["something hateful", "kill them", "hello"]
            )
    hateful, violent, harmless = answer.results
    assert answer.model == "guard"
    assert [hateful.flagged, violent.flagged, harmless.flagged] == [True, True, False]
    assert (hateful.categories.hate, hateful.categories.model_dump()["S99"]) == (True, True)
    assert violent.categories.violence
    asked = guard.seen[0].body
    assert (asked["messages"], asked["temperature"]) == ([{"role": "user", "content": "something hateful"}], 0)
    assert "tools" not in asked
    assert not engine.seen
    assert (lines[-1]["model"], lines[-1]["prompt_tokens"]) == ("guard", 21)


async def test_the_guard_sees_images(serve, engine):
    engine.rule = lambda _: Reply("safe")
    orchestrator = await serve(config_for(engine, moderations={"model": "double"}))
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    async with client_of(orchestrator) as client:
        answer = await client.moderations.create(input=[{"type": "text", "text": "look"}, image])
    (only,) = answer.results
    assert only.category_applied_input_types.violence == ["text", "image"]
    assert engine.seen[0].body["messages"][0]["content"] == [{"type": "text", "text": "look"}, image]


@pytest.mark.parametrize("said", ["", "I think it is safe", "safely", "safe\nS1", "unsafely\nS1"])
async def test_a_text_that_the_guard_did_not_judge_does_not_pass(serve, engine, said):
    engine.rule = lambda _: Reply(said)
    orchestrator = await serve(config_for(engine, moderations={"model": "double"}, **AT_ONCE))
    assert (await refused(orchestrator, input="x"))[0] == 502
    engine.stop()
    assert (await refused(orchestrator, input="x"))[0] in (502, 503)


async def test_a_key_may_use_the_guard_only_through_moderations(serve, engine, tmp_path):
    engine.rule = lambda _: Reply("safe")
    file = tmp_path / "keys.yaml"
    digest = hashlib.sha256(b"tk-mine").hexdigest()
    file.write_text(f"- {{name: a, tenant: acme, hash: {digest}, models: [other]}}\n")
    keys = {"files": [{"file": str(file)}]}
    orchestrator = await serve(config_for(engine, keys=keys, moderations={"model": "double"}))
    async with client_of(orchestrator, "tk-mine") as client:
        assert not (await client.moderations.create(input="x")).results[0].flagged
        with pytest.raises(openai.PermissionDeniedError):
            await client.moderations.create(model="double", input="x")


async def test_an_engine_with_moderations_is_asked_itself(serve, engine):
    async with EngineDouble("external") as external:
        orchestrator = await serve(config_for(engine, external, moderations={"rules": RULES}))
        async with client_of(orchestrator) as client:
            answer = await client.moderations.create(model="external", input="kill them")
    assert (external.seen[0].body, answer.results[0].flagged) == ({"model": "external", "input": "kill them"}, True)


async def test_without_a_setting_an_engine_must_have_it(serve, engine):
    engine.lacks.add(PATH)
    orchestrator = await serve(config_for(engine))
    assert await refused(orchestrator, input="x") == (404, "model", "endpoint_not_supported")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": ""},
        {"input": 7},
        {"input": []},
        {"input": ["a", {"type": "text", "text": "b"}]},
        {"input": [["a"]]},
        {"input": [{"type": "text"}]},
        {"input": [{"type": "audio", "text": "x"}]},
        {"input": [{"type": "image_url", "image_url": {"url": "http://x/1.png"}}]},
        {"input": [{"type": "image_url", "image_url": 7}]},
        {"input": [None]},
    ],
)
async def test_wrong_inputs(serve, engine, fields):
    orchestrator = await serve(config_for(engine, moderations={"rules": RULES}))
    assert (await refused(orchestrator, **fields))[:2] == (400, "input")


async def test_bounds_and_unknown_models(serve, engine):
    settings = {"moderations": {"model": "double", "rules": RULES}, "limits": {"maxChoices": 2}}
    orchestrator = await serve(config_for(engine, **settings))
    assert (await refused(orchestrator, input=["a"] * 3))[:2] == (400, "input")
    assert await refused(orchestrator, input="a" * 262_145) == (400, "input", "input_too_long")
    assert await refused(orchestrator, input="a", model="gpt-nothing") == (404, "model", "model_not_found")
    assert not engine.seen


async def test_no_text_makes_the_rules_slow(serve, engine):
    """Where engines that backtrack would not come to an end."""
    rules = [{"category": "hate", "patterns": ["(a+)+$b", "(a|aa)+c", "(?:a?){50}a{50}b", r"(\w+\s?)+!"]}]
    orchestrator = await serve(config_for(engine, moderations={"rules": rules}))
    async with client_of(orchestrator) as client:
        answer = await client.moderations.create(input="a" * 260_000)
    assert not answer.results[0].flagged
