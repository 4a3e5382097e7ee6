"""Whether public images can be had."""

import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from hack.images import registry


class Server(HTTPServer):
    """Answers every request on loopback with `status`."""

    status = 200

    @property
    def image(self) -> str:
        return f"127.0.0.1:{self.server_port}/library/python:3"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.send_response(self.server.status if self.path == "/v2/" else 500)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A registry without TLS."""
    original = urllib.request.urlopen

    def without_tls(url: str, timeout: float) -> object:
        return original(url.replace("https:", "http:"), timeout=timeout)

    monkeypatch.setattr(urllib.request, "urlopen", without_tls)
    with Server(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "expected"), [(200, True), (401, True), (403, False), (404, False), (503, False)])
def test_a_registry_answers_or_asks_who_it_is(server: Server, status: int, *, expected: bool) -> None:
    server.status = status
    assert registry.answers(server.image) is expected


def test_nothing_there_is_no_registry(server: Server) -> None:
    server.server_close()
    assert registry.answers(server.image) is False


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """A machine without Docker and with an empty cache."""
    monkeypatch.setenv("TANDEM_CACHE", str(tmp_path))
    monkeypatch.setattr(registry, "docker_answers", lambda: False)
    forget()
    yield monkeypatch
    forget()


def forget() -> None:
    registry.docker.cache_clear()
    registry.within_reach.cache_clear()


def test_docker_is_trusted_to_pull(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(registry, "docker_answers", lambda: True)
    machine.setattr(registry, "answers", lambda _: pytest.fail("asked a registry"))
    assert registry.within_reach()


@pytest.mark.parametrize("found", [True, False])
def test_the_registry_is_asked_once_for_one_cache(machine: pytest.MonkeyPatch, *, found: bool) -> None:
    machine.setattr(registry, "answers", lambda _: found)
    assert registry.within_reach() is found
    forget()
    machine.setattr(registry, "answers", lambda _: not found)
    assert registry.within_reach() is found
