"""Runs the application under uvicorn, keeps its configuration fresh and lets it drain."""

import asyncio
import gc
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Final

import uvicorn
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.app import App
from tandem_orchestrator.config import ConfigError, Source
from tandem_orchestrator.limits.worker_counters import SharedCounters
from tandem_orchestrator.observability import logs
from tandem_orchestrator.process.reload import Reloader
from tandem_orchestrator.process.tls import Certificate
from tandem_orchestrator.secret_file import SecretError
from tandem_orchestrator.tools import bounded_call
from tandem_orchestrator.transport.client_connection import protocol_for

TICKS_A_SECOND: Final = 10
GC_THRESHOLD: Final = (20_000, 20, 20)  # collecting every 700 objects, as is usual, cost 5 % of a request's CPU
LAME_DUCK_SECONDS: Final = 1.0  # how long connections are still served after SIGTERM, each answer closing its own


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several processes behind one port."""

    number: int
    of: int
    folder: Path
    """For files that the workers share; gone when the service ends."""
    supervisor: int
    """Process without which none of them should go on."""


class Server(uvicorn.Server):
    """Drains on SIGTERM: turns not ready, serves on for a moment, closes its port, lets open answers finish.

    An answer that is open after `drain_seconds` is cut. A second signal ends the process at once.
    """

    def __init__(self, app: App, source: Source, config: OrchestratorConfig, worker: Worker | None) -> None:
        self._certificate = certificate = certificate_of(config)
        settings = uvicorn.Config(
            app.asgi,
            loop="uvloop",
            http=protocol_for(config),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(config.drain_seconds),
            ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
        )
        super().__init__(settings)
        self._app = app
        self._source = source
        self._orchestrator_config = config
        self._worker = worker
        self._signalled: float | None = None
        self._reloading: asyncio.Task[None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 # uvicorn's signature
        """Begin to end, on SIGTERM and SIGINT."""
        if self._worker and sig == signal.SIGINT:
            return  # a terminal sends it to all; the supervisor sends SIGTERM for it
        if self._signalled is not None:
            self.should_exit = self.force_exit = True
            return
        self._drain()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until it is told to end, and do not wait for tools that do not heed their cancellation."""
        await super().serve(sockets)
        if not await bounded_call.all_ended():
            logs.lines.flush()
            os._exit(0)  # or asyncio would wait for them

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve, and to look for changes of the configuration."""
        reloader = Reloader(self._source, self._orchestrator_config, self._app.services.state, self._apply)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.ask)
        self._reloading = asyncio.create_task(reloader.watch())
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the port and wait for open answers."""
        if self._reloading is not None:
            self._reloading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reloading
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Look around, every tenth of a second."""
        if self._signalled is None and self._worker and os.getppid() != self._worker.supervisor:
            self._drain()
        if self._signalled is not None and monotonic() - self._signalled >= LAME_DUCK_SECONDS:
            self.should_exit = True
        if self._certificate is not None and counter % TICKS_A_SECOND == 0:
            self._certificate.refresh()
        return await super().on_tick(counter)

    def _drain(self) -> None:
        services = self._app.services
        services.state.draining = True
        services.dispatcher.drain(services.config.drain_seconds)
        self._signalled = monotonic()

    def _apply(self, config: OrchestratorConfig) -> None:
        self._app.reload(config)
        logs.configure(config.logging.level, config.logging.format)
        self.config.http_protocol_class = protocol_for(config)
        self.config.timeout_graceful_shutdown = int(config.drain_seconds)


def serve(source: Source, config: OrchestratorConfig, ports: list[socket.socket], worker: Worker | None = None) -> None:
    """Serve until a signal comes. Raises `ConfigError` where only the parts themselves see what is wrong."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    counters = SharedCounters(worker.folder / "limits", worker.number, worker.of) if worker else None
    server = Server(App(config, counters, worker.folder if worker else None), source, config, worker)
    gc.collect()
    gc.freeze()  # what stands now stands for good; going through it again cost a tenth of a request's time
    gc.set_threshold(*GC_THRESHOLD)
    server.run(ports)


def certificate_of(config: OrchestratorConfig) -> Certificate | None:
    """Return what HTTPS is served with, if it is. Raises `ConfigError`."""
    try:
        return Certificate(config.server.tls) if config.server.tls else None
    except SecretError as error:
        raise ConfigError([f"server.tls: {error}"]) from None


def listen(config: OrchestratorConfig, host: str | None, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Return sockets of the API's port, then of that for metrics if there is one; `shared` lets other sockets take
    part.

    Without a host they are for every address, IPv4 and IPv6. Raises `ConfigError` where a port is taken.
    """
    metrics_port = config.server.metrics_port
    if metrics_port == port:
        raise ConfigError([f"server.metricsPort: {port} is the API's port"])
    ports = [each for each in (port, metrics_port) if each is not None]
    return [opened for each in ports for opened in _sockets(host, each, shared=shared)]


def _sockets(host: str | None, port: int, *, shared: bool) -> list[socket.socket]:
    if host is not None:
        return [_socket(host, port, shared=shared)]
    opened = [_socket("0.0.0.0", port, shared=shared)]  # noqa: S104 # the default of a server
    if socket.has_dualstack_ipv6():  # a socket for each, so that IPv4 clients keep the look of their addresses
        opened.append(_socket("::", opened[0].getsockname()[1], shared=shared, alone=True))
    return opened


def _socket(host: str, port: int, *, shared: bool, alone: bool = False) -> socket.socket:
    """Return a socket at an address; `alone` keeps IPv4 out of one for IPv6."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if alone:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise ConfigError([f"cannot listen at {host}, port {port}: {error.strerror or error}"]) from None
    return opened
