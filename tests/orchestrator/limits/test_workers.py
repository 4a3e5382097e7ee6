"""Limits that worker processes share through memory: real processes, at full speed against each other."""

import asyncio
import sys
from time import time
from typing import Any

import pytest

from tests.orchestrator.limits.worker import LIMITS

WORKERS = 2


async def start(*arguments: object) -> Any:
    command = (sys.executable, "-m", "tests.orchestrator.limits.worker", *map(str, arguments))
    return await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)


@pytest.mark.parametrize("kind", LIMITS)
async def test_processes_at_once_admit_exactly_the_limit(tmp_path, kind):
    processes = [await start(tmp_path / "limits", number, WORKERS, kind) for number in range(WORKERS)]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    for process in processes:
        process.stdin.write(f"{time() + 0.1}\n".encode())
    admitted = [int(await process.stdout.readline()) for process in processes]
    for process in processes:
        process.stdin.close()
        assert await process.wait() == 0
    assert sum(admitted) == LIMITS[kind]
