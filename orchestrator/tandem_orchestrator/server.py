"""Runs the application under uvicorn and lets it drain."""

import gc
from time import monotonic
from types import FrameType

import uvicorn
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.app import App
from tandem_orchestrator.protocol import protocol_for
from tandem_orchestrator.tls import Certificate

TICKS_A_SECOND = 10
LAME_DUCK_SECONDS = 1.0  # how long connections are still served after SIGTERM, each answer closing its own


class Server(uvicorn.Server):
    """Drains on SIGTERM: turns not ready, serves on for a moment, closes its port, lets open answers finish.

    An answer that is open after `drain_seconds` is cut. A second signal ends the process at once.
    """

    def __init__(self, app: App, config: uvicorn.Config, certificate: Certificate | None) -> None:
        super().__init__(config)
        self._state = app.services.state
        self._certificate = certificate
        self._signalled: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 # uvicorn's signature
        """Called on SIGTERM and SIGINT."""
        if self._signalled is not None:
            self.should_exit = self.force_exit = True
            return
        self._state.draining = True
        self._signalled = monotonic()

    async def on_tick(self, counter: int) -> bool:
        """Called every tenth of a second."""
        if self._signalled is not None and monotonic() - self._signalled >= LAME_DUCK_SECONDS:
            self.should_exit = True
        if self._certificate is not None and counter % TICKS_A_SECOND == 0:
            self._certificate.refresh()
        return await super().on_tick(counter)


def serve(config: OrchestratorConfig, host: str, port: int) -> None:
    """Serves until a signal comes."""
    app = App(config)
    certificate = Certificate(config.server.tls) if config.server.tls else None
    settings = uvicorn.Config(
        app,
        host=host,
        port=port,
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
    gc.collect()
    gc.freeze()  # what stands now stands for good; going through it again cost a tenth of a request's time
    Server(app, settings, certificate).run()
