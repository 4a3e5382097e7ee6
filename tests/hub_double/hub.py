"""The hub and its storage as two servers of threads, with faults that the test sets."""

import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.hub_double.repository import Commit, blob_id, is_large, sha256

SIGNATURE = "X-Amz-Signature=0123456789abcdef0123456789abcdef&Policy=eyJTdGF0ZW1lbnQiOltd"
"""What nobody may see who has not asked the hub."""
_PIECE = 65_536


@dataclass(frozen=True)
class Refusal:
    """An answer without what was asked for."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)


class HubDouble:
    """Serves commits by repository and revision. Faults count for files by path, and are used up as they happen.

    `host` is what clients call it, at any ports unless some are given.
    """

    def __init__(self, host: str = "127.0.0.1", ports: tuple[int, int] = (0, 0)) -> None:
        self.revisions: dict[tuple[str, str], Commit] = {}
        self.refusals: list[Refusal] = []
        """What the next requests to the hub get."""
        self.storage_refusals: list[Refusal] = []
        self.closed: Refusal | None = None
        """What every request to the hub gets that does not show `token`."""
        self.token = "hf_double0123456789"
        self.cuts: dict[str, list[int]] = {}
        """After how many bytes the next answers are cut."""
        self.holds: dict[str, int] = {}
        """After how many bytes answers stand still, until `resume`."""
        self.wrong: Counter[str] = Counter()
        """How many answers have other bytes."""
        self.has_ranges = True
        self.sent: Counter[str] = Counter()
        """Bytes of each file."""
        self.requests: list[str] = []
        self.leaked: list[str] = []
        """Tokens that were shown to the storage."""
        self.held = threading.Event()
        self._resumed = threading.Event()
        self._lock = threading.Lock()
        self._host = host
        self._ports: tuple[int, ...] = ports
        self._servers: list[ThreadingHTTPServer] = []

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._ports[0]}"

    @property
    def storage_url(self) -> str:
        return f"http://{self._host}:{self._ports[1]}"

    @property
    def _address(self) -> str:
        """Where it listens: everywhere, if clients are to come from elsewhere."""
        return self._host if self._host == "127.0.0.1" else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serves, again on the ports it had before."""
        for port, handler in zip(self._ports, (_Hub, _Storage), strict=True):
            server = ThreadingHTTPServer((self._address, port), type(handler.__name__, (handler,), {"double": self}))
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            self._servers.append(server)
        self._ports = tuple(server.server_address[1] for server in self._servers)

    def stop(self) -> None:
        self.resume()
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()

    def push(self, repository: str, commit: Commit, revision: str = "main") -> None:
        """Makes a commit what a branch names."""
        self.revisions[repository, revision] = self.revisions[repository, commit.id] = commit

    def resume(self) -> None:
        self.holds.clear()
        self._resumed.set()

    def take(self, waiting: list[Any] | None) -> Any:
        with self._lock:
            return waiting.pop(0) if waiting else None

    def wait(self) -> None:
        self.held.set()
        self._resumed.wait(20)

    def is_wrong(self, path: str) -> bool:
        with self._lock:
            self.wrong[path] -= 1
            return self.wrong[path] >= 0

    def note(self, path: str, size: int) -> None:
        with self._lock:
            self.sent[path] += size


class _Handler(BaseHTTPRequestHandler):
    double: HubDouble
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        raise NotImplementedError

    def answer(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, refusal: Refusal) -> None:
        self.answer(refusal.status, refusal.headers)

    def send_file(self, path: str, content: bytes, headers: Mapping[str, str]) -> None:
        """Sends a file, or the range of it that is asked for."""
        size, (start, end), status = len(content), self._range(len(content)), 200
        told = {"Accept-Ranges": "bytes", **headers}
        if start is not None and self.double.has_ranges:
            status, told = 206, {**told, "Content-Range": f"bytes {start}-{end - 1}/{size}"}
            content = content[start:end]
        if self.command != "HEAD" and self.double.is_wrong(path):
            content = bytes(255 - byte for byte in content)
        self.send_response(status)
        for name, value in {**told, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(path, content)

    def _send_body(self, path: str, content: bytes) -> None:
        cut, hold = self.double.take(self.double.cuts.get(path)), self.double.holds.get(path)
        position = 0
        while position < len(content):
            if position == hold:
                self.double.wait()
            if position == cut:
                self.close_connection = True
                return
            ends = [end for end in (hold, cut, position + _PIECE) if end is not None and end > position]
            piece = content[position : min(ends)]
            try:
                self.wfile.write(piece)
            except OSError:  # the client has gone
                self.close_connection = True
                return
            self.double.note(path, len(piece))
            position += len(piece)

    def _range(self, size: int) -> tuple[int | None, int]:
        asked = self.headers.get("Range")
        if asked is None:
            return None, size
        start, _, end = asked.removeprefix("bytes=").partition("-")
        return int(start), min(int(end) + 1, size) if end else size


class _Hub(_Handler):
    def do_GET(self) -> None:
        double = self.double
        path = unquote(urlsplit(self.path).path)
        double.requests.append(f"{self.command} {path}")
        if refusal := double.take(double.refusals):
            self.refuse(refusal)
        elif double.closed and self.headers.get("Authorization") != f"Bearer {double.token}":
            self.refuse(double.closed)
        elif path.startswith("/api/models/"):
            self._tell(path)
        else:
            self._resolve(path)

    def _tell(self, path: str) -> None:
        repository, _, revision = path.removeprefix("/api/models/").partition("/revision/")
        if (commit := self._commit(repository, revision)) is not None:
            body = json.dumps(commit.info(repository)).encode()
            self.answer(200, {"Content-Type": "application/json"}, body)

    def _resolve(self, path: str) -> None:
        repository, _, rest = path.removeprefix("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        commit = self._commit(repository, revision)
        if commit is None:
            return
        content = commit.files.get(name)
        if content is None:
            self.refuse(Refusal(404, {"X-Error-Code": "EntryNotFound"}))
            return
        headers = {"X-Repo-Commit": commit.id, "ETag": f'"{blob_id(content)}"'}
        if not is_large(content):
            self.send_file(name, content, headers)
            return
        link = {"X-Linked-ETag": f'"{sha256(content)}"', "X-Linked-Size": str(len(content))}
        location = f"{self.double.storage_url}/{repository}/{commit.id}/{name}?{SIGNATURE}"
        self.answer(302, {**headers, **link, "Location": location})

    def _commit(self, repository: str, revision: str) -> Commit | None:
        """The commit of a revision, None once it is answered that there is none."""
        commit = self.double.revisions.get((repository, revision))
        if commit is None:
            known = any(each == repository for each, _ in self.double.revisions)
            missing = Refusal(404, {"X-Error-Code": "RevisionNotFound"})
            self.refuse(missing if known else Refusal(401, {"X-Error-Code": "RepoNotFound"}))
        return commit


class _Storage(_Handler):
    def do_GET(self) -> None:
        double, target = self.double, urlsplit(self.path)
        double.requests.append(f"{self.command} storage {target.path}")
        if "Authorization" in self.headers:
            double.leaked.append(self.headers["Authorization"])
        if refusal := double.take(double.storage_refusals):
            self.refuse(refusal)
        elif target.query != SIGNATURE:
            self.refuse(Refusal(403))
        else:
            organisation, name, commit, path = unquote(target.path).removeprefix("/").split("/", 3)
            self.send_file(path, double.revisions[f"{organisation}/{name}", commit].files[path], {})
