"""HTTPS by files, which may be renewed while the server runs."""

import asyncio
import os
import socket
import ssl
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml
from structlog.testing import capture_logs
from tandem_contract.config import Tls
from tandem_orchestrator.process.tls import Certificate
from tandem_orchestrator.secret_file import SecretError

from tests.sockets.certificate import self_signed
from tests.sockets.responses_socket.asking import SocketClient


class Files:
    """A certificate and its key where the configuration expects them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self.settings = {"certificate": {"file": str(self.certificate)}, "key": {"file": str(self.key)}}

    def renew(self, *, key: bool = True) -> None:
        made = self.folder / "new.crt", self.folder / "new.key"
        self_signed(*made, "DNS:localhost,IP:127.0.0.1")
        made[0].rename(self.certificate)
        if key:
            made[1].rename(self.key)

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


@pytest.fixture
def files(tmp_path):
    files = Files(tmp_path)
    files.renew()
    return files


def certificate(files):
    return Certificate(Tls.model_validate(files.settings))


async def greets(context: ssl.SSLContext, trusting: ssl.SSLContext) -> bool:
    """Whether a client that trusts one certificate accepts the one in `context`."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        try:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=trusting)
        except ssl.SSLCertVerificationError:
            return False
        writer.transport.abort()
        return True


async def test_a_renewed_pair_is_taken(files):
    served, before = certificate(files), files.trusting()
    files.renew()
    assert await greets(served.context, before)
    served.refresh()
    assert not await greets(served.context, before)
    assert await greets(served.context, files.trusting())


async def test_half_a_renewal_leaves_the_pair_before(files):
    served, before = certificate(files), files.trusting()
    files.renew(key=False)
    with capture_logs() as lines:
        served.refresh()
        served.refresh()
    assert [line["log_level"] for line in lines] == ["error"]
    assert await greets(served.context, before)
    files.renew()
    served.refresh()
    assert await greets(served.context, files.trusting())


@pytest.mark.parametrize("broken", ["certificate", "key"])
def test_unusable_files_are_named(files, broken):
    getattr(files, broken).write_text("nothing")
    with pytest.raises(SecretError, match=r"tls\.crt"):
        certificate(files)
    getattr(files, broken).unlink()
    with pytest.raises(SecretError, match=r"tls\.crt"):
        certificate(files)


async def status(port: int, trusting: ssl.SSLContext) -> int:
    """Of /live over TLS, 0 without a connection."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as client:
        try:
            async with client.get(f"https://localhost:{port}/live") as response:
                return response.status
        except aiohttp.ClientConnectionError:
            return 0


async def until_served(port: int, trusting: ssl.SSLContext) -> None:
    async with asyncio.timeout(20):
        while await status(port, trusting) != 200:  # noqa: ASYNC110 # another process
            await asyncio.sleep(0.05)


async def test_the_server_speaks_tls_and_follows_its_files(files, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = tmp_path / "config.yaml"
    upstreams = [{"name": "e", "url": "http://127.0.0.1:9", "model": "m"}]
    config.write_text(yaml.safe_dump({"upstreams": upstreams, "server": {"tls": files.settings}}))
    command = [sys.executable, "-m", "tandem_orchestrator.cli", "serve", "--config", str(config)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TANDEM_")}
    process = await asyncio.create_subprocess_exec(
        *command, "--host", "127.0.0.1", "--port", str(port), env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        before = files.trusting()
        await until_served(port, before)
        async with SocketClient(f"https://localhost:{port}", ssl=before) as client:
            assert (await client.say("{}")).error[0] == 400
        files.renew()
        await until_served(port, files.trusting())
        assert await status(port, before) == 0
    finally:
        process.kill()
        await process.wait()
