"""Engines that speak HTTPS: whose word about their certificate is taken, also after it changes."""

import asyncio
import ssl
from contextlib import asynccontextmanager

import pytest

from tests.engine_double.listener import stream_listener
from tests.sockets.certificate import self_signed
from tests.sockets.running import AT_ONCE, config_for, until


@pytest.fixture
def issue(tmp_path):
    """Issues a certificate by its name: the certificate's file, and a context that serves it."""

    def issued(name):
        file, key = tmp_path / f"{name}.crt", tmp_path / f"{name}.key"
        self_signed(file, key, "IP:127.0.0.1")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file, key)
        return file, context

    return issued


@asynccontextmanager
async def speaking_tls(engine, context, port=0):
    """The port at which an engine is reached by TLS."""

    async def pipe(reader, writer):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def forward(reader, writer):
        back, on = await asyncio.open_connection(engine.host, engine.port)
        await asyncio.gather(pipe(reader, on), pipe(back, writer))

    listener = stream_listener(forward, context)
    yield listener.start("127.0.0.1", port)
    await listener.aclose()


def trusting(file, port):
    tls = {"tls": {"ca": {"file": str(file)}}} if file else {}
    upstream = {"name": "engine", "type": "openai", "url": f"https://127.0.0.1:{port}/v1", "model": "double", **tls}
    return config_for(upstreams=[upstream], **AT_ONCE)


async def test_a_certificate_of_a_named_authority_is_taken_and_no_other(serve, engine, issue):
    (file, context), (other, _) = issue("ours"), issue("others")
    async with speaking_tls(engine, context) as port:
        assert (await (await serve(trusting(file, port))).chat())[0] == 200
        for authorities in (other, None):
            orchestrator = await serve(trusting(authorities, port))
            assert (await orchestrator.chat())[0] == 502
            assert "certificate" in orchestrator.upstreams.all[0].problem
    assert len(engine.seen) == 1


async def test_an_authority_that_changes_is_taken_up(serve, engine, issue, tmp_path):
    (first, before), (second, after) = issue("first"), issue("second")
    authorities = tmp_path / "ca.crt"
    first.rename(authorities)
    async with speaking_tls(engine, before) as port:
        orchestrator = await serve(trusting(authorities, port))
        assert (await orchestrator.chat())[0] == 200
    (upstream,) = orchestrator.upstreams.all
    async with speaking_tls(engine, after, port):
        await until(lambda: "certificate verify failed" in (upstream.problem or ""))
        second.rename(authorities)
        await until(lambda: upstream.ready)
        assert (await orchestrator.chat())[0] == 200


@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["no file", "empty", "nonsense"])
async def test_authorities_that_cannot_be_read_are_named_until_they_can(serve, engine, issue, tmp_path, content):
    file, context = issue("ours")
    authorities = tmp_path / "ca.crt"
    if content is not None:
        authorities.write_text(content)
    async with speaking_tls(engine, context) as port:
        orchestrator = await serve(trusting(authorities, port))
        status, answer = await orchestrator.chat()
        assert (status, answer["error"]["code"]) == (502, "engine_unreachable")
        assert str(authorities) not in str(answer)
        (upstream,) = orchestrator.upstreams.all
        assert str(authorities) in upstream.problem
        file.rename(authorities)
        await until(lambda: upstream.ready)
        assert (await orchestrator.chat())[0] == 200
