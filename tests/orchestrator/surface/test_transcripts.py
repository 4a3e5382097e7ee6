"""Prompts in the log, where that was asked for and nowhere else."""

import pytest
from structlog.testing import capture_logs

from tests.engine_double import Reply
from tests.orchestrator.running import config_for, question
from tests.orchestrator.surface.asking import CALLS, asked


def transcripts(lines):
    return [line for line in lines if line["event"] == "transcript"]


@pytest.mark.parametrize(("path", "stream"), CALLS)
async def test_both_sides_are_logged(serve, engine, path, stream):
    orchestrator = await serve(config_for(engine, logging={"prompts": True}))
    with capture_logs() as lines:
        async with orchestrator.client.post(path, json=asked(path, stream=stream)) as response:
            request_id = response.headers["x-request-id"]
            text = await response.text()
    (line,) = transcripts(lines)
    assert line["request_id"] == request_id
    assert "Hello" in line["request"]
    assert line["answer"] == text


async def test_long_ones_are_cut(serve, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.gateway.transcript.LONGEST", 100)
    orchestrator = await serve(config_for(engine, logging={"prompts": True}))
    engine.replies.append(Reply("é" * 500))
    with capture_logs() as lines:
        await orchestrator.stream(padding="é" * 500)
    (line,) = transcripts(lines)
    assert len(line["request"].encode()) <= 103
    assert len(line["answer"].encode()) <= 103


async def test_usually_there_is_none(orchestrator):
    with capture_logs() as lines:
        await orchestrator.chat(**question(messages=[{"role": "user", "content": "My secret"}]))
    assert not transcripts(lines)
    assert "secret" not in str(lines)
