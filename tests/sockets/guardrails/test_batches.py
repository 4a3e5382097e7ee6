"""Lines of batches: each is judged for itself, and what is decided about one is told in its own line."""

from typing import Any

import pytest

from tests.engine_double import EngineDouble, Reply
from tests.sockets.batches.asking import begun, client_of, config, content, ended, jsonl, line
from tests.sockets.batches.conftest import brisk  # noqa: F401 # a fixture
from tests.sockets.guardrails.conftest import BADGE, KIND, MASK, rail, told
from tests.sockets.running import until

pytestmark = pytest.mark.usefixtures("brisk")

SAYS = f"my badge is {BADGE}"
ASKS = {
    "/v1/chat/completions": lambda text: {"messages": [{"role": "user", "content": text}]},
    "/v1/completions": lambda text: {"prompt": text},
    "/v1/embeddings": lambda text: {"input": text},
    "/v1/responses": lambda text: {"input": text},
}
GENERATING = [path for path in ASKS if path != "/v1/embeddings"]
TEXTS = {
    "/v1/chat/completions": lambda body: body["choices"][0]["message"]["content"],
    "/v1/completions": lambda body: body["choices"][0]["text"],
    "/v1/responses": lambda body: "".join(part["text"] for item in body["output"] for part in item["content"]),
}


@pytest.fixture
def run(serve, engine, tmp_path):
    """Runs a batch under these guardrails; its outputs and errors by their ids."""

    async def ran(path: str, *texts: str, guardrails: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        url = f"sqlite:///{tmp_path}/tandem.db"
        server = await serve(config(engine, url, tmp_path / "files", guardrails=guardrails))
        asked = [line(text, {"model": "double", **ASKS[path](text)}, url=path) for text in texts]
        async with client_of(server) as client:
            batch = await ended(client, (await begun(client, jsonl(asked), path)).id)
            assert batch.status == "completed", batch
            outputs, errors = [
                {each["custom_id"]: each["response"] for each in await content(client, file)}
                for file in (batch.output_file_id, batch.error_file_id)
            ]
        assert batch.request_counts.model_dump() == {
            "total": len(texts),
            "completed": len(outputs),
            "failed": len(errors),
        }
        return outputs, errors

    return ran


def asked_of(engine: Any) -> str:
    return b"".join(seen.raw for seen in engine.seen).decode()


@pytest.mark.parametrize("path", ASKS)
async def test_a_line_that_is_blocked_has_an_error_of_its_own(run, engine, path):
    outputs, errors = await run(path, "hi", SAYS, "bye", guardrails=[rail("block", "input")])
    assert outputs.keys() == {"hi", "bye"}
    assert errors.keys() == {SAYS}
    assert errors[SAYS]["status_code"] == 400
    error = errors[SAYS]["body"]["error"]
    assert (error["code"], error["message"]) == (
        "content_filter",
        f"guardrail badges: the request holds {KIND}; take it out",
    )
    assert error["guardrail"] == {"name": "badges", "at": "input", "kinds": [KIND]}
    assert BADGE not in asked_of(engine)


@pytest.mark.parametrize("path", ASKS)
async def test_the_engine_gets_a_line_masked(run, engine, path):
    outputs, errors = await run(path, "hi", SAYS, guardrails=[rail("mask", "input")])
    assert not errors
    assert BADGE not in asked_of(engine)
    assert f"my badge is {MASK}" in asked_of(engine)
    assert outputs[SAYS]["body"]["tandem"] == told("mask", "input")
    assert "tandem" not in outputs["hi"]["body"]


@pytest.mark.parametrize("path", GENERATING)
@pytest.mark.parametrize(("action", "text"), [("mask", f"it is {MASK}"), ("block", "")])
async def test_what_a_model_says_is_judged_before_it_is_in_the_file(run, engine, path, action, text):
    engine.rule = lambda asked: Reply(f"it is {BADGE}" if "tell" in str(asked) else "fine")
    outputs, errors = await run(path, "hi", "tell", guardrails=[rail(action, "output")])
    assert not errors
    assert TEXTS[path](outputs["hi"]["body"]) == "fine"
    assert (TEXTS[path](outputs["tell"]["body"]) or "") == text
    assert outputs["tell"]["body"]["tandem"] == told(action)
    if action == "block":
        assert "content_filter" in str(outputs["tell"]["body"])


async def test_a_line_that_is_made_again_is_judged_as_it_was_sent(serve, engine, tmp_path):
    """The first attempt finds the engine away; what it made of the line counts for nothing."""
    prompts = {"models": [{"name": "double", "systemPrompt": f"You are {BADGE}."}]}
    settings = {"guardrails": [rail("mask", "input")], **prompts}
    server = await serve(config(engine, f"sqlite:///{tmp_path}/tandem.db", tmp_path / "files", **settings))
    await server.chat()
    busy = {"error": {"message": "busy", "type": "server_error", "param": None, "code": 429}}
    engine.rule = lambda _: Reply() if len(engine.seen) > 3 else Reply(status=429, error=busy)
    async with client_of(server) as client:
        batch = await begun(client, jsonl([line("a", {"model": "double", **ASKS["/v1/chat/completions"](SAYS)})]))
        batch = await ended(client, batch.id)
        (output,) = await content(client, batch.output_file_id)
    assert len(engine.seen) > 3
    assert output["response"]["body"]["tandem"] == told("mask", "input")
    for seen in engine.seen[1:]:
        assert [message["content"] for message in seen.body["messages"]] == [
            f"You are {BADGE}.",
            f"my badge is {MASK}",
        ]


async def test_a_line_waits_for_a_judge_that_is_away(serve, engine, tmp_path, decided):
    async with EngineDouble() as judge:
        moderation = {"url": f"{judge.url}/v1/moderations", "model": "double"}
        settings = {"guardrails": [{"name": "service", "moderation": moderation, "at": ["input"]}]}
        server = await serve(config(engine, f"sqlite:///{tmp_path}/tandem.db", tmp_path / "files", **settings))
        judge.stop()
        async with client_of(server) as client:
            made = await begun(client, jsonl([line("a")]))
            await until(lambda: decided("service", "input", "error_blocked", "unavailable"))
            await judge.start()
            batch = await ended(client, made.id)
    assert (batch.request_counts.completed, len(engine.seen)) == (1, 1)
