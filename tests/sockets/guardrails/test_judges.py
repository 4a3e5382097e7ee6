"""Guardrails that ask somebody: a guard model, or a service; and what becomes of a text that nobody judges."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from tests.engine_double import EngineDouble, Reply
from tests.sockets.guardrails.conftest import post, rail
from tests.sockets.running import AT_ONCE, QUESTION, config_for
from tests.sockets.tools.service import Says, Service

CHAT = "/v1/chat/completions"
HATE = [{"role": "user", "content": "something hateful"}]
PATH = "/v1/moderations"


def guard(*on, **fields):
    return {"name": "guard", "model": {"name": "guard"}, "on": on or ["input", "output"], **fields}


def service_of(service, *on, failure="Fail", **moderation):
    moderation = {"url": f"{service.url}{PATH}", **moderation}
    return {"name": "service", "moderation": moderation, "on": on or ["input"], "failurePolicy": failure}


def judgement(flagged, categories=None, scores=None):
    return {"results": [{"flagged": flagged, "categories": categories or {}, "category_scores": scores or {}}]}


@pytest.fixture
async def judge():
    async with EngineDouble("guard") as judging:
        judging.rule = lambda asked: Reply("unsafe\nS10" if "hateful" in str(asked["messages"]) else "safe")
        yield judging


async def test_a_guard_model_judges_what_goes_in_and_comes_out(serve, engine, judge, decided, lines):
    settings = {"guardrails": [guard(), rail()], "models": [{"name": "guard"}]}
    orchestrator = await serve(config_for(engine, judge, **settings))
    status, document = await post(orchestrator, CHAT, model="double", messages=[*QUESTION, *HATE])
    assert (status, document["error"]["param"]) == (400, "messages")
    assert document["error"]["guardrail"] == {"name": "guard", "on": "input", "kinds": ["hate"]}
    assert [seen.body["messages"][0]["content"] for seen in judge.seen] == ["Hello\n\nsomething hateful"]
    assert not engine.seen
    engine.rule = lambda _: Reply("hateful words")
    status, document = await post(orchestrator, CHAT, model="double", messages=QUESTION)
    assert (status, document["choices"][0]["finish_reason"]) == (200, "content_filter")
    assert decided("guard", "output", "block", "hate") == 1
    assert [line["path"] for line in lines].count("guardrail") == 3
    asked = next(line for line in lines if line["path"] == "guardrail")
    assert (asked["model"], asked.get("tenant"), asked["status"]) == ("guard", None, 200)
    assert lines[-1]["prompt_tokens"] == document["usage"]["prompt_tokens"]  # without the guard's


async def test_rules_come_first_and_judges_go_side_by_side(serve, engine, judge):
    judge.gate = asyncio.Semaphore(0)
    other = guard("input") | {"name": "other"}
    orchestrator = await serve(config_for(engine, judge, guardrails=[guard("input"), other, rail()]))
    status, document = await post(orchestrator, CHAT, model="double", messages=[{"role": "user", "content": "B-1234"}])
    assert (status, document["error"]["guardrail"]["name"], judge.seen) == (400, "badges", [])
    asking = asyncio.create_task(post(orchestrator, CHAT, model="double", messages=QUESTION))
    await judge.until(lambda: len(judge.seen) == 2)
    judge.gate.release()
    judge.gate.release()
    assert (await asking)[0] == 200


async def test_a_client_that_leaves_ends_the_judging(serve, engine, judge):
    judge.gate = asyncio.Semaphore(0)
    orchestrator = await serve(config_for(engine, judge, guardrails=[guard("input")]))
    asking = asyncio.create_task(post(orchestrator, CHAT, model="double", messages=QUESTION))
    await judge.until(lambda: len(judge.seen) == 1)
    asking.cancel()
    await judge.until(lambda: judge.seen[0].outcome == "left")
    assert not engine.seen


async def test_moderations_ask_the_guard_without_being_judged(serve, engine, judge):
    settings = {"guardrails": [guard(), rail()], "moderations": {"model": "guard"}}
    orchestrator = await serve(config_for(engine, judge, **settings))
    status, document = await post(orchestrator, PATH, input="hateful B-1234")
    assert (status, document["results"][0]["flagged"], len(judge.seen)) == (200, True, 1)


@pytest.mark.parametrize("said", ["I would rather not", "", "gone", "slow"])
async def test_a_guard_that_gives_no_judgement(serve, engine, decided, said):
    async with EngineDouble("guard") as judge:
        judge.rule = lambda _: Reply(said)
        if said == "gone":
            judge.stop()
        if said == "slow":
            judge.gate = asyncio.Semaphore(0)
        await check_without_judgement(serve, engine, decided, judge)


async def check_without_judgement(serve, engine, decided, judge):
    settings = {"models": [{"name": "guard"}, {"name": "double"}], **AT_ONCE}
    model = {"model": {"name": "guard", "timeoutSeconds": 0.2}}
    closed = await serve(config_for(engine, judge, guardrails=[guard() | model], **settings))
    status, document = await post(closed, CHAT, model="double", messages=QUESTION)
    assert (status, document["error"]["code"]) == (503, "guardrail_unavailable")
    assert document["error"]["guardrail"] == {"name": "guard", "on": "input", "kinds": ["unavailable"]}
    assert not engine.seen
    closed.app.reload(config_for(engine, judge, guardrails=[guard("output") | model], **settings))
    status, document = await post(closed, CHAT, model="double", messages=QUESTION)
    assert (status, document["choices"][0]["finish_reason"]) == (200, "content_filter")
    ignoring = [guard(failurePolicy="Ignore") | model]
    closed.app.reload(config_for(engine, judge, guardrails=ignoring, **settings))
    status, document = await post(closed, CHAT, model="double", messages=QUESTION)
    assert (status, document["choices"][0]["finish_reason"]) == (200, "stop")
    assert [each["action"] for each in document["tandem"]["guardrails"]] == ["error_ignored"] * 2
    assert decided("guard", "input", "error_blocked", "unavailable") == 1
    assert decided("guard", "output", "error_ignored", "unavailable") == 1


@pytest.mark.parametrize(
    "case",
    [
        ({}, judgement(flagged=True, categories={"hate": True, "violence": False}), ["hate"]),
        ({}, judgement(flagged=True, categories={"new/one": True}), ["other"]),
        ({}, judgement(flagged=True), ["flagged"]),
        ({}, judgement(flagged=False, scores={"hate": 0.9}), None),
        ({"minScore": 0.5}, judgement(flagged=False, scores={"hate": 0.9, "violence": 0.4}), ["hate"]),
        ({"categories": ["violence"]}, judgement(flagged=True, categories={"hate": True}), None),
        ({"categories": ["new/one"]}, judgement(flagged=True, categories={"new/one": True}), ["new/one"]),
    ],
)
async def test_a_service_judges(serve, engine, tmp_path, case):
    moderation, answer, kinds = case
    (tmp_path / "key").write_text("sk-judge\n")
    async with Service() as service:
        service.says[PATH] = Says(answer)
        fields = {"apiKey": {"file": str(tmp_path / "key")}, "model": "omni", **moderation}
        orchestrator = await serve(config_for(engine, guardrails=[service_of(service, **fields)]))
        status, document = await post(orchestrator, CHAT, model="double", messages=QUESTION)
        found = document["error"]["guardrail"]["kinds"] if "error" in document else None
        assert (status, found) == (200 if kinds is None else 400, kinds)
        assert service.asked[0].body == {"input": "Hello", "model": "omni"}
        assert service.asked[0].headers["authorization"] == "Bearer sk-judge"


WRONG = {
    "an error": Says({"error": "no"}, 500),
    "a redirect": Says(status=302, headers={"location": "/elsewhere"}),
    "no JSON": Says(b"<html>", kind="text/html"),
    "no results": Says({"results": []}),
    "two results": Says({"results": [*judgement(flagged=False)["results"] * 2]}),
    "no word": Says({"results": [{"categories": {}}]}),
    "another shape": Says([1]),
    "too much": Says({"results": [], "more": "x" * 300_000}),
    "half": Says({"results": [{"flagged": "no", "categories": {}}]}),
}


@pytest.mark.parametrize("says", WRONG.values(), ids=WRONG)
async def test_a_service_that_gives_no_judgement(serve, engine, says):
    async with Service() as service:
        service.says[PATH] = says
        service.says["/elsewhere"] = Says(judgement(flagged=False))
        orchestrator = await serve(config_for(engine, guardrails=[service_of(service)]))
        status, document = await post(orchestrator, CHAT, model="double", messages=QUESTION)
        assert (status, document["error"]["code"]) == (503, "guardrail_unavailable")
        assert len(service.asked) == 1
        orchestrator.app.reload(config_for(engine, guardrails=[service_of(service, failure="Ignore")]))
        assert (await post(orchestrator, CHAT, model="double", messages=QUESTION))[0] == 200


async def test_a_service_that_is_away_or_slow(serve, engine, tmp_path):
    async with Service() as service:
        service.hold.clear()
        settings = [service_of(service, timeoutSeconds=0.1)]
        orchestrator = await serve(config_for(engine, guardrails=settings))
        assert (await post(orchestrator, CHAT, model="double", messages=QUESTION))[0] == 503
        service.hold.set()
    assert (await post(orchestrator, CHAT, model="double", messages=QUESTION))[0] == 503
    settings = [service_of(service, apiKey={"file": str(tmp_path / "none")})]
    orchestrator.app.reload(config_for(engine, guardrails=settings))
    assert (await post(orchestrator, CHAT, model="double", messages=QUESTION))[0] == 503
    assert not engine.seen


async def test_how_long_it_takes_is_measured(guarded):
    def count():
        return REGISTRY.get_sample_value("tandem_guardrail_seconds_count", {"guardrail": "timed"}) or 0

    before = count()
    orchestrator = await guarded(rail(name="timed"))
    await post(orchestrator, CHAT, model="double", messages=QUESTION)
    assert count() > before
