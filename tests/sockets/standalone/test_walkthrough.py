"""docs/standalone.md does what it says: its commands run here as they stand, against the real process.

Only places differ: the port, the folder of manifests/compose, the engine and the service behind the tool.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from hack import tools
from tests.engine_double import Call, EngineDouble, Reply
from tests.sockets.process import environment, free_port

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "standalone.md").read_text()
BLOCK = re.compile(r"^```(bash|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RATES = "https://api.frankfurter.dev"
SECONDS = 20.0


def blocks(heading: str) -> list[tuple[str, str]]:
    """(language, text) of the blocks below a heading, in their order."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return BLOCK.findall(section)


def commands(heading: str) -> list[str]:
    return [text for language, text in blocks(heading) if language == "bash"]


def settings(heading: str) -> dict[str, Any]:
    (text,) = [text for language, text in blocks(heading) if language == "yaml"]
    document: dict[str, Any] = yaml.safe_load(text)
    return document


class Machine:
    """What a reader of the page has in front of them."""

    def __init__(self, folder: Path, engine_url: str, rates_url: str) -> None:
        self.port = free_port()
        self.folder = folder
        self._rates_url = rates_url
        self.config = yaml.safe_load((ROOT / "manifests" / "compose" / "config.yaml").read_text())
        self.config["upstreams"][0]["url"] = engine_url
        self._environment = folder / "environment"
        self._environment.write_text("")
        self.save({})

    def save(self, changes: dict[str, Any]) -> None:
        """Edit config.yaml."""
        self.config |= changes
        text = yaml.safe_dump(self.config).replace("/etc/tandem", str(self.folder)).replace(RATES, self._rates_url)
        (self.folder / "config.yaml").write_text(text)

    async def run(self, command: str) -> str:
        """Type a command; variables stay for the next one."""
        here = command.replace("localhost:8001", f"127.0.0.1:{self.port}")
        here = here.replace("manifests/compose", str(self.folder))
        script = f"set -eao pipefail\n. {self._environment}\n{here}\nexport -p > {self._environment}\n"
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return out.decode()

    async def until(self, command: str, expected: str) -> str:
        """Repeat a command until its output has `expected`, which a change of files may take a moment to bring."""
        answer = ""
        try:
            async with asyncio.timeout(SECONDS):
                while expected not in (answer := await self.run(command)):  # noqa: ASYNC110 # another process
                    await asyncio.sleep(0.1)
        except TimeoutError:
            pytest.fail(f"{expected!r} is not in the answer: {answer}")
        return answer


@pytest.fixture
async def rates() -> AsyncIterator[str]:
    """The service that the page's own tool asks."""

    async def latest(request: web.Request) -> web.Response:
        assert dict(request.query) == {"base": "EUR", "symbols": "USD"}
        return web.json_response({"amount": 1.0, "base": "EUR", "rates": {"USD": 1.25}})

    app = web.Application()
    app.router.add_get("/v1/latest", latest)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def machine(tmp_path: Path, engine: EngineDouble, rates: str, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PATH", f"{tools.ensure('curl')}:{os.environ['PATH']}")
    return Machine(tmp_path, engine.url, rates)


@pytest.fixture
async def serving(machine: Machine, tmp_path: Path, engine: EngineDouble) -> AsyncIterator[Machine]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tandem_orchestrator.cli", "serve", "--host=127.0.0.1", f"--port={machine.port}"),
        env=environment(TANDEM_CONFIG=str(tmp_path / "config.yaml"), MODEL_ID=engine.model),
        cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await machine.until("curl -s localhost:8001/ready || true", "ready")
        yield machine
    finally:
        process.kill()
        await process.wait()


async def test_the_page_from_beginning_to_end(serving: Machine, engine: EngineDouble) -> None:
    machine = serving
    (health,) = commands("Start")
    assert f'"backend":"{engine.url}"' in await machine.run(health)

    whole, streamed = commands("Chat")
    assert '"role":"assistant"' in await machine.run(whole)
    assert (await machine.run(streamed)).endswith("data: [DONE]\n\n")

    (calculation,) = commands("A tool call")
    assert "56088" in await machine.run(calculation)

    machine.save(settings("A tool of your own"))
    engine.rule = exchange
    (question,) = commands("A tool of your own")
    await machine.until(question, "1.25")

    make_key, without, with_key = commands("Keys")
    await machine.run(make_key)
    machine.save(settings("Keys"))
    assert "invalid_api_key" in await machine.until(without, "error")
    answer = await machine.run(with_key)
    assert answer.startswith("HTTP/1.1 200")
    assert "alice" not in (machine.folder / "config.yaml").read_text()


async def test_the_settings_for_https_are_valid(machine: Machine) -> None:
    secure = machine.config | settings("Settings")
    (machine.folder / "secure.yaml").write_text(yaml.safe_dump(secure))
    check = f"{sys.executable} -m tandem_orchestrator.cli check --config={machine.folder}/secure.yaml 2>&1 || true"
    complaint = await machine.run(check)
    assert "/etc/tandem/tls.crt" in complaint, "the one thing that is missing here"
    assert "server.tls" in complaint


def exchange(request: dict[str, Any]) -> Reply:
    """A model that asks for the rate once it is offered, and then says it."""
    last = request["messages"][-1]
    if last["role"] == "tool":
        return Reply(f"The result is {last['content']}.")
    offered = {tool["function"]["name"] for tool in request.get("tools") or ()}
    call = Call("get_exchange_rate", '{"base": "EUR", "symbols": "USD"}')
    return Reply("", (call,)) if call.name in offered else Reply()
