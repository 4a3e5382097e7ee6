"""What is compared must do the same, and a piece that saves nothing must be seen."""

import sys

import pytest

from bench import pieces
from bench.load import Load, post
from bench.machinery import of_pieces
from bench.processes import Cores, free_port, running, until_ready
from bench.report import Series


@pytest.mark.parametrize("protocol", ["ours", "httptools"])
async def test_a_bare_server_answers_like_the_engine(protocol, tmp_path):
    port, core = free_port(), Cores.of_this_machine().engine
    command = [sys.executable, "-m", "bench.bare_server", "--port", str(port), "--protocol", protocol]
    with running(protocol, command, port, core, tmp_path) as process:
        await until_ready(process, "/", tmp_path)
        outcome = await Load(process.address, post()).run(4, count=40)
        assert 1_000_000 < process.own_bytes() < process.resident_bytes()
    assert outcome.requests == 40


async def test_pieces_are_used_in_turns_and_as_often_as_asked_for():
    order = []

    async def one(count):
        order.append(("one", count))

    async def other(count):
        order.append(("other", count))

    found = await pieces.in_turns({"one": one, "other": other}, 100)
    assert order == [("one", 10), ("other", 10), *[("one", 100), ("other", 100)] * pieces.ROUNDS]
    assert {name: len(figures) for name, figures in found.items()} == {"one": pieces.ROUNDS, "other": pieces.ROUNDS}


async def test_many_tasks_use_a_piece_as_often_as_asked_for():
    used = 0

    async def use():
        nonlocal used
        used += 1

    await pieces.at_once(use)(100)
    await pieces.one_by_one(lambda: None)(3)
    assert used == 100


def test_a_piece_that_saves_nothing_fails_its_row():
    same = dict.fromkeys(("ours", "aiohttp", "kept", "asked", "own", "shared", "redis"), Series([5.0, 5.0]))
    rows = of_pieces(same, same, same, same)
    assert [row.passed for row in rows] == [False] * 4
    cheap = {**same, "ours": Series([0.4, 0.5]), "shared": Series([0.4, 0.5])}
    assert [row.passed for row in of_pieces(cheap, cheap, cheap, cheap)] == [True] * 4
