"""Prompts in the log, where that was asked for and nowhere else."""

import pytest

from tests.engine_double import Reply
from tests.sockets.running import config_for, until
from tests.sockets.surface.asking import CALLS, asked


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_both_sides_are_logged(serve, engine, lines, path, stream):
    orchestrator = await serve(config_for(engine, logging={"prompts": True}))
    async with orchestrator.client.post(path, json=asked(path, stream=stream)) as response:
        text = await response.text()
    await until(lambda: lines)
    assert "Hello" in lines[0]["request_body"]
    assert lines[0]["answer_body"] == text


async def test_long_ones_are_cut(serve, engine, lines):
    orchestrator = await serve(config_for(engine, logging={"prompts": True}))
    engine.replies.append(Reply("x" * 300_000))
    await orchestrator.stream(padding="x" * 300_000)
    await until(lambda: lines)
    assert 1000 < len(lines[0]["request_body"]) < 200_000
    assert 1000 < len(lines[0]["answer_body"]) < 200_000


async def test_usually_there_is_none(orchestrator, lines):
    await orchestrator.chat(messages=[{"role": "user", "content": "My secret"}])
    await until(lambda: lines)
    assert "secret" not in str(lines)
