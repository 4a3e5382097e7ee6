"""Texts that take long to look at: others are served meanwhile, and all that is in them is found."""

import asyncio
from threading import Event

import pytest
from tandem_orchestrator.gateway.guard import STEP
from tandem_orchestrator.guardrails import rails

from tests.sockets.guardrails.conftest import BADGE, KIND, MASK, Badges, post, rail

CHAT = "/v1/chat/completions"
HALF = "word " * (STEP // 8)
PARTS = [{"type": "text", "text": HALF}, {"type": "text", "text": f"{HALF} {BADGE}"}]


class Slow(Badges):
    """Takes as long as the test wants for a text of more than one step."""

    def __init__(self) -> None:
        self.began, self.may_end = Event(), Event()

    def find(self, text):
        if len(text) > STEP:
            self.began.set()
            assert self.may_end.wait(10), "nobody else was served"
        return super().find(text)


@pytest.mark.parametrize("content", [HALF * 3 + BADGE, PARTS], ids=["a text", "parts that are read as one"])
async def test_others_are_served_while_a_large_text_is_looked_at(guarded, engine, monkeypatch, content):
    slow = Slow()
    monkeypatch.setattr(rails, "finder", lambda _: slow)
    orchestrator = await guarded(rail("mask"))
    asked = asyncio.create_task(
        post(orchestrator, CHAT, model="double", messages=[{"role": "user", "content": content}])
    )
    async with asyncio.timeout(5):
        while not slow.began.is_set():  # noqa: ASYNC110 # another thread's
            await asyncio.sleep(0.002)
        assert (await orchestrator.chat())[0] == 200
        assert len(engine.seen) == 1
    slow.may_end.set()
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
