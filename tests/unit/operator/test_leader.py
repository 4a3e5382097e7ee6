"""Who leads does so no longer than the Lease says."""

import asyncio
from typing import Any

import pytest
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock
from tandem_operator.kube import metrics
from tandem_operator.kube.leader import Candidacy, LeaseLostError, lead

CANDIDACY = Candidacy("me", "ns", lease=2, renew_within=1.3, retry=1)


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Answers until it is told to hang."""
    hangs = asyncio.Event()

    async def get(self: Any, *_: Any) -> tuple[bool, LeaderElectionRecord]:
        if hangs.is_set():
            await asyncio.Event().wait()
        return True, LeaderElectionRecord("me", "1", "2026-01-01 00:00:00.0", "2026-01-01 00:00:00.0")

    async def update(*_: Any) -> bool:
        return True

    monkeypatch.setattr(LeaseLock, "get", get)
    monkeypatch.setattr(LeaseLock, "update", update)
    return hangs


async def test_an_api_server_that_does_not_answer_ends_the_work_before_another_may_lead(
    api_server: asyncio.Event,
) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def work() -> None:
        api_server.set()
        begun = asyncio.get_running_loop().time()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set_result(asyncio.get_running_loop().time() - begun)

    client: Any = None
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(lead(client, CANDIDACY, work), 10)
    assert ended.result() < CANDIDACY.lease + 0.5, "and not after the minutes that a client waits for an answer"


async def test_a_lease_that_cannot_be_given_back_does_not_keep_the_process(api_server: asyncio.Event) -> None:
    async def work() -> None:
        api_server.set()

    client: Any = None
    await asyncio.wait_for(lead(client, CANDIDACY, work), 10)
    assert metrics.LEADER._value.get() == 0
