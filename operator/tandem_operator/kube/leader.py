"""One replica works, the others stand by: leader election over a Lease."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException, V1Lease, V1ObjectMeta
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from tandem_operator.kube import metrics

logger = logging.getLogger(__name__)

_UNREACHABLE: Final = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(frozen=True)
class Candidacy:
    """Who wants to lead, and by which Lease; durations in seconds."""

    identity: str
    namespace: str
    name: str = "tandem-operator"
    lease: float = 15
    renew_within: float = 10
    retry: float = 2


class _PatientLease(LeaseLock):
    """A Lease that counts an unreachable API server as a failed attempt, not as the end of the process.

    An answer that does not come in time is none: who waits for it would still lead when another has the Lease.
    """

    def __init__(self, candidacy: Candidacy, client: ApiClient) -> None:
        super().__init__(candidacy.name, candidacy.namespace, candidacy.identity, client)
        # The last attempt begins before `renew_within` has passed, and may wait twice: to read and to write.
        self.seconds = (candidacy.lease - candidacy.renew_within) / 2

    async def get(
        self, name: str, namespace: str
    ) -> tuple[bool, LeaderElectionRecord] | tuple[bool, Exception] | tuple[bool, None]:
        try:
            async with asyncio.timeout(self.seconds):
                return await super().get(name, namespace)
        except _UNREACHABLE as error:
            return False, ApiException(status=0, reason=str(error))

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        lease = V1Lease(metadata=V1ObjectMeta(name=name), spec=self.update_lease(election_record))
        try:  # not super's: kubernetes 37.0.2 passes an argument there that its own validation refuses
            async with asyncio.timeout(self.seconds):
                await self.api_instance.create_namespaced_lease(namespace, lease)
        except (ApiException, *_UNREACHABLE) as error:
            logger.warning("the Lease could not be created: %s", error)
            return False
        return True

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        try:
            async with asyncio.timeout(self.seconds):
                return await super().update(name, namespace, updated_record)
        except _UNREACHABLE as error:
            logger.warning("the Lease could not be renewed: %s", error)
            return False


class LeaseLostError(Exception):
    """Another replica may lead by now: this process must end."""


async def lead(client: ApiClient, candidacy: Candidacy, work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Wait for the Lease, work, and give it back when the work ends; LeaseLostError when it is lost before."""
    lock = _PatientLease(candidacy, client)
    leading = asyncio.Event()

    async def started() -> None:
        leading.set()
        await asyncio.Event().wait()

    async def stopped() -> None:
        leading.clear()

    timing = (candidacy.lease, candidacy.renew_within, candidacy.retry)
    election = asyncio.create_task(LeaderElection(Config(lock, *timing, started, stopped)).run())
    try:
        await _first(election, asyncio.create_task(leading.wait()))
        metrics.LEADER.set(1)
        logger.info("%s leads", candidacy.identity)
        job = asyncio.create_task(work())
        await _first(election, job)
    finally:
        metrics.LEADER.set(0)
        election.cancel()
    await _release(lock)


async def _first(election: asyncio.Task[None], other: asyncio.Task[Any]) -> None:
    """Wait for the other task; if the election ends before, cancel it and raise LeaseLostError."""
    await asyncio.wait({election, other}, return_when=asyncio.FIRST_COMPLETED)
    if not other.done():
        other.cancel()
        await asyncio.wait({other})
        raise LeaseLostError("lost the Lease; another replica may lead by now") from election.exception()
    await other


async def _release(lock: _PatientLease) -> None:
    """Let the next leader start at once; if that fails, it waits until the Lease runs out."""
    held, _ = await lock.get(lock.name, lock.namespace)
    lease = lock.lease_reference
    if held and lease and lease.spec and lease.spec.holder_identity == lock.identity:
        lease.spec.holder_identity = None
        try:
            async with asyncio.timeout(lock.seconds):
                await lock.api_instance.replace_namespaced_lease(lock.name, lock.namespace, lease)
        except (ApiException, *_UNREACHABLE) as error:
            logger.warning("the Lease could not be given back: %s", error)
