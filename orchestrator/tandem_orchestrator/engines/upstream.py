"""One upstream: an engine with its replicas."""

import asyncio
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from tandem_contract.config import Discovery, Routing, Timeouts, UpstreamType
from tandem_contract.config import Upstream as UpstreamSettings

from tandem_orchestrator.engines.adapters import Adapters
from tandem_orchestrator.engines.credentials import EngineKey
from tandem_orchestrator.engines.probe import probe
from tandem_orchestrator.engines.replica import Replica
from tandem_orchestrator.engines.types import ENGINE_TYPES, EngineType
from tandem_orchestrator.observability.metrics import BREAKERS_OPEN, UPSTREAM_HUNG, UPSTREAM_READY

RESOLVE_SECONDS: Final = 3.0
RESOLVE_TIMEOUT: Final = 5.0
LEAST_PAUSE: Final = 0.25  # between two look-ups, however much goes wrong
TUNABLE: Final = ("adapters", "weight", "previous_api_key_file")

NO_ADDRESS: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})

log = structlog.get_logger()


class Upstream:
    """The replicas of one upstream. `changed(True)` is called when other models or replicas are here than before,
    `changed(False)` when a replica may have become able to take requests, or no longer. What stands in `on_free` is
    called whenever one has a request less.
    """

    def __init__(
        self,
        settings: UpstreamSettings,
        timeouts: Timeouts,
        routing: Routing,
        changed: Callable[[bool], None],
        on_free: list[Callable[[], None]],
    ) -> None:
        self.settings = settings
        self.replicas: list[Replica] = []
        self.adapters = Adapters(settings.adapters)
        self.listed: dict[str, dict[str, Any]] = {}
        """The replicas' own lists of models, by name; the last ones while no replica answers."""
        self.checked = asyncio.Event()
        self._timeouts = timeouts
        self._routing = routing
        self._changed = changed
        self._on_free = on_free
        self._key = EngineKey(settings)
        self._probes: dict[Replica, asyncio.Task[None]] = {}
        self._retired = False
        self._unresolved: str | None = None
        self._trouble = asyncio.Event()
        UPSTREAM_READY.labels(self.name).set(0)
        if settings.discovery is Discovery.NONE:
            self._adopt([None])

    @property
    def name(self) -> str:
        """Name in logs and metrics."""
        return self.settings.name

    @property
    def type(self) -> EngineType:
        """What is known about its type of engine."""
        return ENGINE_TYPES[self.settings.type]

    @property
    def url(self) -> str:
        """Where it is configured to be."""
        return self.settings.url.rstrip("/").removesuffix("/v1")

    @property
    def models(self) -> list[str]:
        """Names that this engine is known to serve, the configured one first."""
        model = self.settings.model
        if model and self.settings.type is UpstreamType.OPENAI:
            return [model]  # what else such a server has was not asked for, and may be called as a model of ours
        gone = self.adapters.dropped
        listed = [name for name in (*self.adapters.names, *self.listed) if name != model and name not in gone]
        return list(dict.fromkeys([model, *listed] if model else listed))

    @property
    def ready(self) -> bool:
        """True while a replica answers its checks."""
        return any(replica.ready for replica in self.replicas)

    @property
    def problem(self) -> str | None:
        """Why no replica is ready, in a sentence."""
        if self.ready:
            return None
        if self.replicas:
            return self.replicas[0].problem
        return self._unresolved or f"{urlsplit(self.url).hostname} has no address now"

    @property
    def in_flight(self) -> int:
        """Requests that it is answering."""
        return sum(replica.in_flight for replica in self.replicas)

    @property
    def told(self) -> bool:
        """True once a replica has told its models, or that it keeps no list of them."""
        return bool(self.listed) or any(replica.served for replica in self.replicas)

    def serving(self, model: str) -> list[Replica]:
        """Return the replicas that serve `model`; while no model at all is known they may serve any."""
        if model == self.settings.model or not self.models:
            return self.replicas
        return [replica for replica in self.replicas if model in replica.names]

    def is_adapter(self, model: str) -> bool:
        """Return whether `model` is an adapter of this engine's, by the configuration or by its own list."""
        return model in self.adapters.names or bool(self.listed.get(model, {}).get("parent"))

    def counterpart(self, model: str, beside: "Upstream") -> str | None:
        """Return what this engine calls what another calls `model`, whose candidate it is: an adapter has one name
        everywhere, the model itself may have another here. None if it has no such thing.
        """
        if model in self.models:
            return model
        if beside.is_adapter(model):
            return None
        return self.models[0] if self.models else model

    def state(self) -> dict[str, Any]:
        """Return what /health tells about it."""
        return {
            "name": self.name,
            "url": self.url,
            "models": self.models,
            "ready": self.ready,
            "problem": self.problem,
            "in_flight": self.in_flight,
            "replicas": [
                {
                    "address": replica.pool.address,
                    "ready": replica.ready,
                    "problem": replica.problem,
                    "progress": replica.stall.progress(monotonic()),
                    "breaker": replica.breaker.state,
                    "in_flight": replica.in_flight,
                }
                for replica in self.replicas
            ],
        }

    def at_work(self) -> Iterator[dict[str, Any]]:
        """Yield what /ready tells of each replica that has an address of its own and work, of types that tell it."""
        for replica in self.replicas:
            stall = replica.stall
            if replica.address and (progress := stall.progress(monotonic())):
                told = {"upstream": self.name, "address": replica.address}
                yield {**told, "progress": progress, "seconds": int(stall.seconds)}

    def can_become(self, settings: UpstreamSettings) -> bool:
        """Return whether these settings differ in no more than what `tune` takes."""
        return settings == self.settings.model_copy(update={name: getattr(settings, name) for name in TUNABLE})

    def tune(self, settings: UpstreamSettings, timeouts: Timeouts, routing: Routing) -> None:
        """Take changed settings."""
        if settings.adapters != self.settings.adapters:
            self.adapters.update(settings.adapters)
        if settings.previous_api_key_file != self.settings.previous_api_key_file:
            self._key = EngineKey(settings)
        self.settings, self._timeouts, self._routing = settings, timeouts, routing
        for replica in self.replicas:
            replica.tune(self._key, timeouts, routing)

    async def watch(self) -> None:
        """Find the replicas and check each again and again; run until cancelled."""
        async with asyncio.TaskGroup() as group:
            if self.settings.discovery is Discovery.DNS:
                await self._resolve()
            self._watch_replicas(group)
            await asyncio.gather(*(replica.checked.wait() for replica in self.replicas))
            self.checked.set()
            while self.settings.discovery is Discovery.DNS:
                await self._pause()
                await self._resolve()
                self._watch_replicas(group)

    def retire(self) -> None:
        """Get no more requests; those under way go on."""
        self._retired = True
        for replica in self.replicas:
            replica.retire()
        UPSTREAM_READY.remove(self.name)
        BREAKERS_OPEN.remove(self.name)
        UPSTREAM_HUNG.remove(self.name)

    def close(self) -> None:
        """Close every connection."""
        for replica in self.replicas:
            replica.pool.close()

    async def _pause(self) -> None:
        self._trouble.clear()
        await asyncio.sleep(LEAST_PAUSE)
        with suppress(TimeoutError):
            async with asyncio.timeout(RESOLVE_SECONDS):
                await self._trouble.wait()

    async def _resolve(self) -> None:
        parts = urlsplit(self.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        before = self._unresolved
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT):
                found = await resolve(parts.hostname or "", port)
        except OSError as error:  # a TimeoutError is one
            self._unresolved = f"{parts.hostname} cannot be resolved now: {error or 'no answer'}"
            if self._unresolved != before:
                log.warning("upstream", upstream=self.name, problem=self._unresolved)
            return  # what was known before is the best guess
        self._unresolved = None
        self._adopt(found)

    def _adopt(self, addresses: Collection[str | None]) -> None:
        """Make the replicas those at `addresses`."""
        known = {replica.address for replica in self.replicas}
        gone = [replica for replica in self.replicas if replica.address not in addresses]
        new = [
            Replica(self.settings, address, self._key, (self._timeouts, self._routing), self._notice)
            for address in addresses
            if address not in known
        ]
        if not gone and not new:
            return
        for replica in new:
            replica.pool.on_free = self._on_free
        self.replicas = [replica for replica in self.replicas if replica not in gone] + new
        for replica in gone:
            replica.retire()
            if probing := self._probes.pop(replica, None):
                probing.cancel()
        if known:
            log.info("upstream", upstream=self.name, replicas=[replica.pool.address for replica in self.replicas])
        self._changed(True)  # noqa: FBT003 # the one argument there is

    def _watch_replicas(self, group: asyncio.TaskGroup) -> None:
        for replica in self.replicas:
            if replica not in self._probes or self._probes[replica].done():
                self._probes[replica] = group.create_task(self._keep(replica))

    async def _keep(self, replica: Replica) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(probe(replica))
            if replica.type.loads_adapters:
                group.create_task(self.adapters.keep(replica))

    def _notice(self, _: Replica) -> None:
        if self._retired:
            return
        UPSTREAM_READY.labels(self.name).set(self.ready)
        BREAKERS_OPEN.labels(self.name).set(sum(not replica.breaker.closed for replica in self.replicas))
        UPSTREAM_HUNG.labels(self.name).set(sum(replica.stall.hangs for replica in self.replicas))
        if not all(replica.ready for replica in self.replicas):
            self._trouble.set()
        listed = {entry["id"]: entry for replica in self.replicas for entry in replica.listed}
        others = bool(listed) and listed != self.listed
        if others:
            self.listed = listed
        self._changed(others)


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of `host`, none if it has none now. Raises `OSError` when nobody can tell."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in NO_ADDRESS:
            return []
        raise
    return sorted({str(entry[4][0]) for entry in found})
