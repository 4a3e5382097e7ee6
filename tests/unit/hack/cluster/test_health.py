import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.cluster.health import answers
from hack.cluster.pki import Authority

Serve = Callable[..., str]


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 500)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(context: ssl.SSLContext | None = None) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def test_only_200_is_healthy_and_no_proxy_is_asked(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    url = serve()
    assert answers(f"{url}/healthz")
    assert not answers(f"{url}/other")
    assert not answers("http://127.0.0.1:9/healthz")


def test_a_server_that_somebody_else_vouches_for_is_not_ours(serve: Serve, tmp_path: Path) -> None:
    ours, theirs = (Authority(tmp_path / name, name) for name in ("ours", "theirs"))
    server = ours.server("web", ["IP:127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.path, server.key)
    url = f"{serve(context)}/healthz"
    assert answers(url, ours.certificate)
    assert not answers(url, theirs.certificate)
