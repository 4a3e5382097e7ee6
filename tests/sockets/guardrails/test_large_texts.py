"""Texts that take long to look at: others are served meanwhile, and all that is in them is found."""

import asyncio
import time

import pytest
from tandem_orchestrator.guardrails import rails
from tandem_orchestrator.guardrails.finding import STEP

from tests.sockets.guardrails.conftest import BADGE, KIND, MASK, Badges, post, rail

CHAT = "/v1/chat/completions"
STEPS = 100
LONG = "word " * (STEP * STEPS // 5)
PARTS = [{"type": "text", "text": LONG}, {"type": "text", "text": f"word {BADGE}"}]


class Slow(Badges):
    """Takes its time for each step of a text."""

    def find(self, text):
        if len(text) >= STEP:
            time.sleep(0.005)
        return super().find(text)


@pytest.mark.parametrize("content", [LONG + BADGE, PARTS], ids=["a text", "parts that are read as one"])
async def test_others_are_served_while_a_large_text_is_looked_at(guarded, engine, monkeypatch, content):
    monkeypatch.setattr(rails, "finder", lambda _: Slow())
    orchestrator = await guarded(rail("mask"))
    asked = asyncio.create_task(
        post(orchestrator, CHAT, model="double", messages=[{"role": "user", "content": content}])
    )
    assert (await orchestrator.chat())[0] == 200
    assert not asked.done()
    assert (await asked)[0] == 200
    assert BADGE.encode() not in engine.seen[-1].raw
    assert MASK.encode() in engine.seen[-1].raw


async def test_whatever_the_size_of_its_texts_a_request_is_judged(guarded, engine):
    orchestrator = await guarded(rail())
    for before in (0, STEP - len(BADGE), STEP - 3, STEP, 3 * STEP):
        messages = [{"role": "user", "content": "x" * before + f" {BADGE} " + "x" * before}]
        many = [{"role": "user", "content": "hi"}] * 200
        status, document = await post(orchestrator, CHAT, model="double", messages=[*many, *messages])
        assert (status, document["error"]["guardrail"]["kinds"]) == (400, [KIND])
    assert not engine.seen
