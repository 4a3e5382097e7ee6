"""The Hub is spoken to over HTTP; a double on loopback answers as it does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hack.failure import Failure
from hack.hub import Hub, Model


class Double(BaseHTTPRequestHandler):
    """Knows org/good, org/pickled and, with a token, org/gated."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        assert query == "blobs=true"
        status, siblings = self.answer(path.removeprefix("/api/models/"))
        body = json.dumps({"siblings": siblings}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self, name: str) -> tuple[int, list[dict[str, object]]]:
        if name == "org/slow":
            return 429, []
        if name == "org/pickled":
            return 200, [{"rfilename": "pytorch_model.bin", "size": 9}]
        if name == "org/gated" and self.headers["Authorization"] != "Bearer secret":
            return 401, []
        if name in ("org/good", "org/gated"):
            parts = [{"rfilename": f"model-{i}.safetensors", "size": 1000} for i in (1, 2)]
            return 200, [*parts, {"rfilename": "config.json", "size": 7}]
        return 404, []

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Double) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_size_is_that_of_the_weights(endpoint: str) -> None:
    assert Hub(endpoint).model("org/good") == Model("org/good", 2000)


def test_token_is_sent(endpoint: str) -> None:
    assert Hub(endpoint, token="secret").model("org/gated").weight_bytes == 2000


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("org/gated", "HF_TOKEN"),
        ("org/unknown", "no model org/unknown"),
        ("org/slow", "slow down"),
        ("org/pickled", "no .safetensors weights"),
    ],
)
def test_refusals_say_what_to_do(endpoint: str, name: str, says: str) -> None:
    with pytest.raises(Failure, match=says):
        Hub(endpoint).model(name)


def test_out_of_reach() -> None:
    with pytest.raises(Failure, match="out of reach"):
        Hub("http://127.0.0.1:9").model("org/good")
