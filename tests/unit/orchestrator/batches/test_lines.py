"""Inputs are read line by line, however large they are."""

import asyncio
import tracemalloc
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.batches import lines
from tandem_orchestrator.batches.validation import MOST_LINES, Validation

CONFIG = OrchestratorConfig.model_validate({"upstreams": [{"name": "engine", "url": "http://engine"}]})


async def chunks(data: bytes, size: int):
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def found(data: bytes, size: int, most: int = 1000) -> list[tuple[int, bytes | None]]:
    return [each async for each in lines.split(chunks(data, size), most)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_lines_whatever_the_chunks_are(size):
    data = b"one\n\n  two  \r\nthree\n" + b"x" * 20 + b"\nfive"
    expected = [(1, b"one"), (3, b"two"), (4, b"three"), (5, None), (6, b"five")]
    assert await found(data, size, most=10) == expected


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_long_last_line(size):
    assert await found(b"x" * 20, size, most=10) == [(1, None)]
    assert await found(b"x" * 10, size, most=10) == [(1, b"x" * 10)]


async def test_a_long_line_is_not_kept():
    async def endless():
        for _ in range(200):
            yield b"x" * 1_000_000

    tracemalloc.start()
    try:
        assert [each async for each in lines.split(endless(), 4_000_000)] == [(1, None)]
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


class KeptWork:
    """Counts what it is to keep."""

    def __init__(self) -> None:
        self.lines = 0
        self.begun: tuple[str, int] | None = None
        self.problems: Any = None

    async def drop_spans(self, _: Any) -> None:
        """There are none."""

    async def add_spans(self, _: Any, spans: Any) -> None:
        self.lines += sum(len(lines.kept(text.decode())) for _, text in spans)

    async def begin(self, _: Any, model: str, total: int) -> None:
        self.begun = model, total

    async def refuse(self, _: Any, problems: Any, __: int) -> None:
        self.problems = problems


async def test_as_many_lines_as_there_may_be_are_never_in_memory():
    """200 MB in 50,000 lines."""
    padding = "x" * 3900

    async def read(*_: Any):
        for first in range(0, MOST_LINES, 100):
            documents = (
                {
                    "custom_id": f"line-{n}",
                    "method": "POST",
                    "url": "/v1/completions",
                    "body": {"model": "m", "prompt": padding},
                }
                for n in range(first, first + 100)
            )
            yield b"".join(orjson.dumps(each) + b"\n" for each in documents)
            await asyncio.sleep(0)

    batch: Any = SimpleNamespace(tenant="t", id="batch_1", input_file="file-1", endpoint="/v1/completions")
    files: Any = SimpleNamespace(read=read)
    work: Any = KeptWork()
    tracemalloc.start()
    try:
        await Validation(batch, work, CONFIG, str).run(files)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert work.begun == ("m", MOST_LINES)
    assert work.lines == MOST_LINES
    assert most < 40_000_000
