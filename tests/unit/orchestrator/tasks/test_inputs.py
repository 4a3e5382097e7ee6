"""Inputs of one request whose key has no room for them."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import orjson
from tandem_orchestrator.auth.principal import ANONYMOUS
from tandem_orchestrator.errors import LimitExceeded
from tandem_orchestrator.limits.limiter import CONCURRENCY
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.tasks.inputs import Inputs
from tandem_orchestrator.tasks.making import Made


class Full:
    """A limiter for whose key others take each place as soon as there is one."""

    def admit(self, _: Any) -> Any:
        raise LimitExceeded("as many are under way", retry_after=1, code=CONCURRENCY)


class Maker:
    """Makes the first input when it is told to."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def whole(self, *_: Any) -> Made:
        await self.may_end.wait()
        return Made({}, None)


async def test_an_input_waits_for_those_beside_it_and_for_nobody_else():
    maker = Maker()
    ticket = SimpleNamespace(settle=lambda _: None)
    arrived = SimpleNamespace(record=Record("r"), principal=ANONYMOUS, headers=[], ticket=ticket)
    inputs = Inputs(cast("Any", maker), cast("Any", Full()), cast("Any", None), cast("Any", arrived), [{}, {}])
    async with asyncio.timeout(5):
        first = asyncio.create_task(inputs.result(0))
        await asyncio.sleep(0)  # it is under way
        second = asyncio.create_task(inputs.result(1))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not second.done()
        maker.may_end.set()
        assert orjson.loads(await first) == {"index": 0, "output": {}}
        assert orjson.loads(await second)["error"]["code"] == CONCURRENCY
