"""The servers of these tests leave no socket open: it would count against a later test."""

import asyncio
import gc
import socket
import sys
from urllib.parse import urlsplit

import pytest

from tests.engine_double import EngineDouble
from tests.engine_double.canned import CannedEngine
from tests.sockets.running import Orchestrator, config_for

TURNS = range(6)  # of the loop, in one of which a connection is accepted and has no transport yet


@pytest.fixture
def left_open(monkeypatch):
    """What the collector finds unclosed."""
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda problem: found.append(str(problem.exc_value)))
    return found


async def connect(url, turns):
    connection = socket.create_connection((urlsplit(url).hostname, urlsplit(url).port))
    for _ in range(turns):
        await asyncio.sleep(0)
    return connection


@pytest.mark.parametrize("turns", TURNS)
async def test_an_engine_that_stops_while_somebody_connects(left_open, turns):
    async with EngineDouble() as engine:
        with await connect(engine.url, turns):
            engine.stop()
            for _ in TURNS:
                await asyncio.sleep(0)
    gc.collect()
    assert left_open == []


@pytest.mark.parametrize("turns", TURNS)
async def test_a_canned_engine_that_stops_while_somebody_connects(left_open, turns):
    async with CannedEngine() as engine:
        connection = await connect(engine.url, turns)
    with connection:
        for _ in TURNS:
            await asyncio.sleep(0)
    gc.collect()
    assert left_open == []


@pytest.mark.parametrize("turns", TURNS)
async def test_an_orchestrator_that_stops_while_somebody_connects(left_open, engine, turns):
    orchestrator = Orchestrator(config_for(engine))
    await orchestrator.start()
    with await connect(orchestrator.url, turns):
        await orchestrator.stop()
    gc.collect()
    assert left_open == []
