"""The programs in examples/, as a reader runs them."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine_double import Call, Reply
from tests.engine_double.embedding import Embedding
from tests.sockets.running import config_for

EXAMPLES = Path(__file__).parents[3] / "examples"
NAMES = ["basic", "multi_turn", "streaming", "sdk", "rag"]
MOST_LINES = 40
BORROWING = (
    "Visitors may borrow a telescope for three nights, against a deposit of eighty euros. "
    "Members keep one for two weeks."
)


@pytest.fixture
async def run(serve, engine, tmp_path):
    """Runs a program against a service with keys; its output."""
    keys = {"values": ["examples:key-of-examples"]}
    settings = {"keys": keys, "database": {"url": f"sqlite:///{tmp_path}/tandem.db"}}
    settings |= {"files": {"folder": f"{tmp_path}/files"}, "retrieval": {"embedding": {"model": engine.model}}}
    service = await serve(config_for(engine, **settings))

    async def program(name: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, EXAMPLES / f"{name}.py"),
            env={"OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": "key-of-examples"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        assert (process.returncode, error) == (0, b"")
        return out.decode()

    return program


def listening(request: dict[str, Any]) -> Reply:
    """A model that knows what it was told before, if it was sent along."""
    said = [message["content"] for message in request["messages"] if message["role"] == "user"]
    if "What is my name?" not in said[-1]:
        return Reply("I see.")
    names = [found[1] for text in said if (found := re.search(r"My name is (\w+)", text))]
    return Reply(f"Your name is {names[0]}." if names else "You have not told me.")


async def test_basic(run, engine):
    engine.rule = lambda request: Reply(f"About {request['messages'][-1]['content']}")
    assert await run("basic") == "About What is the capital of France?\n"


async def test_a_name_is_remembered_over_three_turns(run, engine):
    engine.rule = listening
    out = await run("multi_turn")
    assert [line for line in out.splitlines() if line.startswith("Model:")] == [
        "Model: I see.",
        "Model: I see.",
        "Model: Your name is Ada.",
    ]


async def test_a_story_comes_word_by_word(run, engine):
    engine.rule = lambda _: Reply("There was a robot.", between_pieces=0.01)
    assert await run("streaming") == "There was a robot.\n[4 tokens]\n"
    assert engine.seen[-1].body["stream"] is True


async def test_the_client_as_a_drop_in(run, engine):
    engine.rule = lambda request: Reply(f"{len(request['messages'])} messages")
    assert (await run("sdk")).splitlines() == [
        "chat completion: 1 messages",
        "response: 2 messages",
        "conversation: user: Which planet has rings?",
        "conversation: assistant: 1 messages",
        "conversation: user: How far away is it?",
        "conversation: assistant: 3 messages",
    ]


def reading(request: dict[str, Any]) -> Reply:
    """A model that searches, and answers with what it found; it makes vectors too."""
    if "messages" not in request:
        return Embedding()(request)
    last = request["messages"][-1]
    if last["role"] == "user":
        return Reply("", (Call("file_search", '{"queries": ["borrow a telescope for nights"]}'),))
    return Reply("For three nights [1]." if "three nights" in last["content"] else "I do not know.")


async def test_a_document_is_searched_and_cited(run, engine):
    engine.rule = reading
    assert (await run("rag")).splitlines() == [
        "handbook.md: completed",
        f"found: {BORROWING}",
        "For three nights [1].",
        "cited: handbook.md",
    ]


def test_each_example_is_short_has_a_test_and_stands_on_the_page():
    page = (EXAMPLES / "README.md").read_text()
    assert sorted(file.stem for file in EXAMPLES.glob("*.py")) == sorted(NAMES)
    for name in NAMES:
        text = (EXAMPLES / f"{name}.py").read_text()
        assert len(text.splitlines()) <= MOST_LINES
        assert re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE) == ["openai"]
        assert f"[{name}.py]({name}.py)" in page
