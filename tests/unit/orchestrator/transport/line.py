"""A client's connection without a network."""

import asyncio
from typing import Any

from tandem_orchestrator.transport.exchange import Exchange, Wire
from tandem_orchestrator.transport.outbox import FEW, Outbox
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState


class Line(asyncio.Transport):
    """Keeps what each system call would have written."""

    def __init__(self):
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False
        self.reading = True

    def write(self, data):
        self.writes.append(bytes(data))

    def writelines(self, list_of_data):
        self.writes.append(b"".join(list_of_data))

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def close(self):
        self.closed = True

    abort = close

    def is_closing(self):
        return self.closed


class Client:
    """A request that has come over a `line`, and its exchange."""

    def __init__(self, outbox: Outbox, method="GET", *, keep_alive=True, go_ahead=False):
        self.line = Line()
        self.flow = FlowControl(self.line)
        self.server = ServerState()
        self.server.default_headers = [(b"date", b"today")]
        self.scope: dict[str, Any] = {"type": "http", "method": method, "path": "/", "state": {}}
        self.completed = False
        outbox.under_way = FEW  # so that it holds back what is written in a turn
        wire = Wire(self.line, self.flow, outbox, self.server)
        self.exchange = Exchange(self.scope, wire, self._complete, keep_alive=keep_alive, expects_go_ahead=go_ahead)

    def _complete(self):
        self.completed = True
