"""Several workers behind one port: starts them, hands signals on, starts again what dies.

Each worker has a socket of its own with SO_REUSEPORT, so that the kernel spreads the connections: of 64 at once,
4 workers got 10 to 22 each. With one inherited socket whoever woke first took what was there: 1 to 59.

Workers are forked from this process, which has imported everything and runs neither loop nor thread: they share the
memory of the code, and one that is started again is there within milliseconds.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.config import ConfigError, Source
from tandem_orchestrator.config.reloading import taken_over
from tandem_orchestrator.observability import logs, prometheus
from tandem_orchestrator.observability.metrics import CONFIG_RELOAD_SUCCESS, CONFIG_RELOAD_TIME, WORKER_RESTARTS
from tandem_orchestrator.process.server import Worker, certificate_of, listen, serve
from tandem_orchestrator.tools.build import build

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
TICK_SECONDS: Final = 0.5
STABLE_SECONDS: Final = 10.0  # a worker that lived so long did not die of its start
BACKOFF_SECONDS: Final = (0.0, 0.2, 0.5, 1.0, 2.0)  # before a worker is started again, by early deaths in a row
GRACE_SECONDS: Final = 10.0  # beyond the time to drain
FAILED: Final = 1

log = structlog.get_logger()


def supervise(source: Source, config: OrchestratorConfig, host: str | None, port: int, folder: Path) -> int:
    """Serve with `server.workers` processes until a signal comes; 1 when they keep dying.

    `folder` is for files that the workers share, and the one that metrics are kept in. Raises `ConfigError` for what
    every worker would die of.
    """
    build(config.tools)
    certificate_of(config)
    prometheus.forget_gauges(prometheus.SUPERVISOR)  # only workers have a state
    with ExitStack() as reserved:  # the ports stay ours while a worker is started again
        opened = [reserved.enter_context(port) for port in listen(config, host, port, shared=True)]
        port = opened[0].getsockname()[1]
        pid = os.getpid()  # asked by a worker, its parent may be another process already
        log.info("serving", host=host or "*", port=port, workers=config.server.workers, supervisor=pid)

        def work(number: int, config: OrchestratorConfig) -> None:
            reserved.close()
            worker = Worker(number, config.server.workers, folder, pid)
            serve(source, config, listen(config, host, port, shared=True), worker)

        return Supervisor(source, config, work).run()


@dataclass(slots=True)
class _Slot:
    """One of the workers, or what has become of it."""

    number: int
    pid: int | None = None
    started: float = 0.0
    start_at: float = 0.0


class Supervisor:
    """Keeps `server.workers` processes alive, each of which does `work`."""

    def __init__(
        self, source: Source, config: OrchestratorConfig, work: Callable[[int, OrchestratorConfig], None]
    ) -> None:
        self._source = source
        self._config = config
        self._work = work
        self._slots = [_Slot(number) for number in range(config.server.workers)]
        self._early_deaths = 0
        self._kill_at: float | None = None
        self._code = 0

    def run(self) -> int:
        """Return the exit code when every worker has ended."""
        gc.collect()
        gc.freeze()  # a collection in a worker would write to pages that all share
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            while self._kill_at is None or self._living():
                self._start_the_missing()
                self._handle(signal.sigtimedwait(SIGNALS, TICK_SECONDS))
                self._reap()
                if self._kill_at is not None and monotonic() > self._kill_at:
                    self._send(signal.SIGKILL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        return self._code

    def _living(self) -> list[_Slot]:
        return [slot for slot in self._slots if slot.pid is not None]

    def _handle(self, received: signal.struct_siginfo | None) -> None:
        if received is None or received.si_signo == signal.SIGCHLD:
            return
        if received.si_signo == signal.SIGHUP:
            self._send(signal.SIGHUP)
        else:
            self._stop()

    def _stop(self) -> None:
        """Have the workers drain; asked again, they end at once."""
        if self._kill_at is None:
            self._kill_at = monotonic() + self._config.drain_seconds + GRACE_SECONDS
        self._send(signal.SIGTERM)

    def _send(self, signal_number: int) -> None:
        for slot in self._living():
            assert slot.pid is not None  # noqa: S101 # it lives
            os.kill(slot.pid, signal_number)

    def _start_the_missing(self) -> None:
        for slot in self._slots:
            if self._kill_at is None and slot.pid is None and monotonic() >= slot.start_at:
                self._start(slot)

    def _start(self, slot: _Slot) -> None:
        if self._source.changed():
            self._read_again()
        logs.lines.flush()  # or the worker would write the same lines once more
        slot.started = monotonic()
        slot.pid = os.fork() or self._run_worker(slot.number)

    def _run_worker(self, number: int) -> int:
        """Run a worker in the process that was just forked for it; this never returns."""
        code = FAILED
        try:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the server has handlers of its own
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            prometheus.count_as_worker(number)
            CONFIG_RELOAD_SUCCESS.set(1)  # or it would seem refused until the worker has begun to serve
            CONFIG_RELOAD_TIME.set_to_current_time()
            self._work(number, self._config)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else FAILED
        except ConfigError as error:
            log.error("worker cannot start", worker=number, problems=error.problems)  # noqa: TRY400 # as `check` says it
        except BaseException:  # nothing of the supervisor's own code may run on in a worker
            log.exception("worker failed", worker=number)
        finally:
            logs.lines.flush()
            os._exit(code)

    def _read_again(self) -> None:
        """Have a worker that is started again begin with what is valid now; the others complain about what is not."""
        try:
            self._config, _ = taken_over(self._config, self._source.load())
        except ConfigError:
            return

    def _reap(self) -> None:
        while self._living():
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            for slot in self._slots:
                if slot.pid == pid:
                    self._note_end(slot, os.waitstatus_to_exitcode(status))

    def _note_end(self, slot: _Slot, code: int) -> None:
        slot.pid = None
        prometheus.forget_gauges(slot.number)
        if self._kill_at is not None:
            self._code = self._code or abs(code)
            return
        lived = monotonic() - slot.started
        self._early_deaths = 0 if lived >= STABLE_SECONDS else self._early_deaths + 1
        if self._early_deaths > len(BACKOFF_SECONDS):
            log.critical("workers keep dying, giving up", deaths=self._early_deaths, exit_code=code)
            self._code = FAILED
            self._stop()
            return
        pause = BACKOFF_SECONDS[max(0, self._early_deaths - 1)]
        slot.start_at = monotonic() + pause
        WORKER_RESTARTS.inc()
        log.error(
            "worker ended, it is started again", worker=slot.number, exit_code=code, lived=lived, pause_seconds=pause
        )
