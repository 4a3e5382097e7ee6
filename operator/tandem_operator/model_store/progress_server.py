"""GET /progress, for the operator, and a line in the log now and then."""

import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from tandem_operator.model_store.progress import Progress

logger = logging.getLogger(__name__)

_EVERY: Final = 10.0
"""Seconds between two lines of the log."""
_PATIENCE: Final = 10
"""Seconds for a client to send its request."""


@contextmanager
def told(progress: Progress, port: int) -> Iterator[int]:
    """Tell of the progress on a port, 0 for any that is free, and in the log; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE

        def do_GET(self) -> None:
            if self.path != "/progress":
                self.send_error(404)
                return
            body = json.dumps(progress.snapshot()).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Log nothing of requests."""

    ended = threading.Event()
    with _listening(port) as listener, ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = listener
        threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True),
            threading.Thread(target=_log, args=(progress, ended), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            server.shutdown()
            for thread in threads:
                thread.join()


def _listening(port: int) -> socket.socket:
    """Listen on every address, of both families where there are two: http.server alone knows IPv4 only."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _log(progress: Progress, ended: threading.Event) -> None:
    while not ended.wait(_EVERY):
        now = progress.snapshot()
        logger.info(
            "%s: %s of %s bytes, %s %%, %s bytes/s%s",
            now["state"],
            f"{now['done']:,}",
            f"{now['total']:,}",
            now["percent"],
            f"{now['rate']:,}",
            f": {now['message']}" if now["message"] else "",
        )
