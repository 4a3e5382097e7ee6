"""A real S3 server, moto's, that tests can stop and start again."""

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
from obstore.store import S3Store

from hack import tools

BUCKET = "tandem"
ACCESS, SECRET = "access-key", "secret-access-key"


class S3Server:
    """A process of its own; its data ends with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        for name, value in (("access", ACCESS), ("secret", SECRET)):
            (folder / name).write_text(value)

    def settings(self, **others: Any) -> dict[str, Any]:
        """`files.s3` with a prefix that nobody else has."""
        return {
            "bucket": BUCKET,
            "endpoint": self.url,
            "prefix": f"{uuid4().hex}/",
            "accessKeyId": {"file": str(self._folder / "access")},
            "secretAccessKey": {"file": str(self._folder / "secret")},
            **others,
        }

    def store(self) -> S3Store:
        """A client of the bucket."""
        return S3Store(
            BUCKET,
            endpoint=self.url,
            region="us-east-1",
            access_key_id=ACCESS,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    def objects(self, prefix: str) -> list[str]:
        return [entry["path"] for page in obstore.list(self.store(), prefix) for entry in page]

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            command = [str(tools.executable("moto_server")), "-H", "127.0.0.1", "-p", str(self.port)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self._made_bucket():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "moto_server does not answer"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _made_bucket(self) -> bool:
        request = f"PUT /{BUCKET} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(request)
                return b" 200 " in connection.recv(100)
        except OSError:
            return False


@contextmanager
def running_s3() -> Iterator[S3Server]:
    with tempfile.TemporaryDirectory(prefix="tandem-s3-") as folder:
        server = S3Server(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()
