"""An engine that has to share its time, as vLLM's has: what it runs, it runs a token further in each step.

    .venv/bin/python -m bench.busy_engine --port N [--growth SHARE]

`SLOTS` requests run together, the others wait in the order of their coming. A step takes `STEP` seconds and `GROWTH` of
that more (or another share) for each request in it, and for a request's first one `PREFILL` seconds more, as its prompt
is read then. A client that leaves frees its slot before the next step. `GET /metrics` tells what runs and waits. A
request's `max_tokens` says how many tokens its answer has.
"""

import argparse
import asyncio
import time
from collections import deque
from typing import Any, Final

import orjson
import uvloop

from bench.engine import MODEL, MODELS
from tests.engine_double.http import Exchange, HttpListener
from tests.engine_double.reply import Answer, Reply, event

SLOTS: Final = 32
STEP: Final = 0.02
GROWTH: Final = 0.03
PREFILL: Final = 0.005


def step_seconds(running: int, first: int = 0, growth: float = GROWTH) -> float:
    """Return how long a step takes, for `first` requests of which it is the first one."""
    return STEP * (1 + growth * running) + PREFILL * first


class Sequence:
    """A request that waits or runs."""

    def __init__(self, tokens: int) -> None:
        self.left = tokens
        self.begun = False
        self.tokens: asyncio.Queue[bool] = asyncio.Queue()
        """One for each token; true with the last one."""


class BusyEngine:
    """Runs sequences."""

    def __init__(self, growth: float) -> None:
        self._growth = growth
        self.running: list[Sequence] = []
        self.waiting: deque[Sequence] = deque()
        self._some = asyncio.Event()

    def add(self, tokens: int) -> Sequence:
        sequence = Sequence(tokens)
        self.waiting.append(sequence)
        self._some.set()
        return sequence

    def remove(self, sequence: Sequence) -> None:
        for queue in (self.running, self.waiting):
            if sequence in queue:
                queue.remove(sequence)

    async def run(self) -> None:
        """Step for ever."""
        while True:
            if not self.running and not self.waiting:
                self._some.clear()
                await self._some.wait()
            await self._step()

    async def _step(self) -> None:
        began = time.perf_counter()
        while self.waiting and len(self.running) < SLOTS:
            self.running.append(self.waiting.popleft())
        stepped = list(self.running)
        first = sum(not sequence.begun for sequence in stepped)
        seconds = step_seconds(len(stepped), first, self._growth)
        await asyncio.sleep(max(0.0, began + seconds - time.perf_counter()))
        for sequence in stepped:
            sequence.begun = True
            sequence.left -= 1
            sequence.tokens.put_nowait(sequence.left <= 0)
            if sequence.left <= 0 and sequence in self.running:
                self.running.remove(sequence)

    async def handle(self, exchange: Exchange) -> None:
        """Answer a request."""
        if exchange.method == "POST":
            request = orjson.loads(exchange.body)
            sequence = self.add(request.get("max_tokens", 16))
            try:
                await (_stream if request.get("stream") else _whole)(exchange, request, sequence)
            finally:
                self.remove(sequence)
        elif exchange.target == "/metrics":
            label = f'{{model_name="{MODEL}"}}'
            running, waiting = len(self.running), len(self.waiting)
            text = f"vllm:num_requests_running{label} {running}\nvllm:num_requests_waiting{label} {waiting}\n"
            await exchange.answer(200, text.encode(), "text/plain")
        elif exchange.target == "/v1/models":
            await exchange.answer(200, MODELS)
        else:
            await exchange.answer(200, b"{}")


async def _whole(exchange: Exchange, request: dict[str, Any], sequence: Sequence) -> None:
    tokens = 1
    while not await sequence.tokens.get():
        tokens += 1
    await exchange.answer(200, orjson.dumps(Answer(Reply("token " * tokens), request).whole()))


async def _stream(exchange: Exchange, request: dict[str, Any], sequence: Sequence) -> None:
    chunks = iter(Answer(Reply("token " * sequence.left), request).chunks())
    await exchange.head(200, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"})
    ended = await sequence.tokens.get()
    await exchange.piece(event(next(chunks)))  # who speaks
    await exchange.piece(event(next(chunks)))
    while not ended:
        ended = await sequence.tokens.get()
        await exchange.piece(event(next(chunks)))
    for chunk in chunks:
        await exchange.piece(event(chunk))
    await exchange.piece(b"data: [DONE]\n\n")
    await exchange.write(b"0\r\n\r\n")


async def serve(port: int, growth: float) -> None:
    """Serve until it is ended."""
    engine = BusyEngine(growth)
    HttpListener(engine.handle).start("127.0.0.1", port)
    await engine.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--growth", type=float, default=GROWTH)
    options = parser.parse_args()
    uvloop.run(serve(options.port, options.growth))
