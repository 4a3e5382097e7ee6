"""A real Redis that tests can stop, hold still and start again."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from hack import tools

PASSWORD = "secret-password"


class RedisServer:
    """A process of its own, with its own folder and port; its data ends with it."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        self._folder = folder
        self._certificate = certificate
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self.port}/0"
        if certificate:
            self.url = f"rediss://:{PASSWORD}@127.0.0.1:{self.port}/0?ssl_ca_certs={certificate[0]}"

    def start(self) -> None:
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", PASSWORD, "--save", ""]
        if self._certificate:
            chain, secret = map(str, self._certificate)
            options += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            options += ["--tls-cert-file", chain, "--tls-key-file", secret, "--tls-ca-cert-file", chain]
        with (self._folder / "log").open("ab") as log:
            program = tools.executable("redis-server")
            self._process = subprocess.Popen([program, *options, "--dir", self._folder], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        with Redis.from_url(self.url) as client:
            while not self._answers(client):
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self.resume()
            self._process.kill()
            self._process.wait()
            self._process = None

    def hold(self) -> None:
        """Connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    @staticmethod
    def _answers(client: Redis) -> bool:
        try:
            return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def running_redis(certificate: tuple[Path, Path] | None = None) -> Iterator[RedisServer]:
    """`certificate`: the files of one and its key, for TLS."""
    folder = Path(tempfile.mkdtemp(prefix="tandem-redis-"))
    server = RedisServer(folder, certificate)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
