"""A network of its own for one process: this machine's real resolver asks a name server that the test controls.

`python -m tests.sockets.tools.own_network CASE` enters it, with public addresses on its loopback device, and runs
one of the cases of `rebinding`. Ends with `NOT_HERE` where the kernel does not let it.
"""

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

NOT_HERE = 77
PUBLIC, LOOPBACK, METADATA = "93.184.215.14", "127.0.0.1", "192.0.0.192"
NEW_USER, NEW_MOUNTS, NEW_NETWORK = 0x10000000, 0x00020000, 0x40000000
BIND, PRIVATE = 0x1000, 0x4000 | 0x40000
SET_FLAGS, SET_ADDRESS = 0x8914, 0x8916
UP = 1
A, NO_SUCH_NAME = 1, 3


class NameServer(asyncio.DatagramProtocol):
    """Answers each name with the addresses of `zone`: the next of its list each time, and the last one from then on."""

    def __init__(self) -> None:
        self.zone: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        name, kind = ".".join(labels), struct.unpack_from("!H", data, at + 1)[0]
        self.asked.append(name)
        answers = self.zone.get(name, [])
        found = answers[0] if answers and kind == A else []
        if len(answers) > 1 and kind == A:
            answers.pop(0)
        head = data[:2] + struct.pack("!HHHHH", 0x8180 if answers else 0x8180 | NO_SUCH_NAME, 1, len(found), 0, 0)
        records = [b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 0, 4) + socket.inet_aton(address) for address in found]
        self._transport.sendto(head + data[12 : at + 5] + b"".join(records), addr)  # type: ignore[attr-defined]


class Site:
    """A server on one of the addresses that says which one it is, or sends to `redirect`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.asked = 0
        self.redirect: str | None = None

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await reader.readuntil(b"\r\n\r\n")
        status = f"302 Found\r\nlocation: {self.redirect}" if self.redirect else "200 OK"
        head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(self.address)}\r\n\r\n"
        writer.write((head + self.address).encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def sites(port: int, *addresses: str) -> AsyncIterator[list[Site]]:
    found = [Site(address) for address in addresses]
    servers = [await asyncio.start_server(site.handle, site.address, port) for site in found]
    yield found
    for server in servers:
        server.close()


@asynccontextmanager
async def names(**zone: list[list[str]]) -> AsyncIterator[NameServer]:
    """A name server for `NAME.example`, for each name of `zone`."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(NameServer, (LOOPBACK, 53))
    server.zone = {f"{name}.example": answers for name, answers in zone.items()}
    yield server
    transport.close()


def enter() -> None:
    """Leaves the machine's network and its /etc/resolv.conf behind. Raises `OSError`."""
    user, group = os.getuid(), os.getgid()
    _libc("unshare", NEW_USER | NEW_MOUNTS | NEW_NETWORK)
    for file, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path("/proc/self", file).write_text(text)
    _libc("mount", None, b"/", None, PRIVATE, None)
    _cover("/etc/resolv.conf", f"nameserver {LOOPBACK}\noptions timeout:2 attempts:1\n")
    _cover("/etc/nsswitch.conf", "hosts: files dns\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sH14x", b"lo", UP))
        for number, address in enumerate((PUBLIC, METADATA)):
            name = f"lo:{number}".encode()
            fcntl.ioctl(
                control, SET_ADDRESS, struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address))
            )


def _cover(path: str, text: str) -> None:
    """Puts a file of `text` in the place of another, for this process."""
    if Path(path).exists():
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(text)
        _libc("mount", file.name.encode(), os.path.realpath(path).encode(), None, BIND, None)
        Path(file.name).unlink()


def _libc(name: str, *arguments: object) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def main() -> None:
    from tests.sockets.tools import rebinding

    try:
        enter()
    except OSError as error:
        print(error, file=sys.stderr)  # noqa: T201 # the test tells it
        sys.exit(NOT_HERE)
    asyncio.run(getattr(rebinding, sys.argv[1])())


if __name__ == "__main__":
    main()
