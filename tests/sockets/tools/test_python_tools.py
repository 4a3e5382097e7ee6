"""Tools from installed packages, found by their entry points."""

import asyncio
import sys

import orjson
import pytest
import yaml
from prometheus_client import REGISTRY
from tandem_contract.config import Tools
from tandem_contract.metrics import TOOL_SOURCES_ABSENT
from tandem_orchestrator.config import ConfigError
from tandem_orchestrator.tools import local_source, source
from tandem_orchestrator.tools.build import build, check

from tests.engine_double import Call, Reply
from tests.sockets.installed import installed
from tests.sockets.process import serving
from tests.sockets.running import Orchestrator, config_for, question
from tests.sockets.tools.conftest import Box

MODULE = """
import asyncio
from contextlib import suppress


class Echo:
    name = "echo"
    description = "Says it again."
    parameters = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

    def __init__(self, settings):
        self.times = settings["times"]

    async def call(self, arguments):
        return arguments["text"] * self.times


def nothing(settings):
    return object()


def leave(settings):
    raise SystemExit("no licence")


class Raw:
    name = "raw"
    description = "Gives back what it was made with, or what its author forgot."
    parameters = {"type": "object"}

    def __init__(self, settings):
        self.closes = settings.get("closes")

    async def close(self):
        if self.closes == "by leaving":
            raise SystemExit(3)
        if self.closes == "never":
            await asyncio.Event().wait()

    async def call(self, arguments):
        kind = arguments.get("kind")
        if kind == "exit":
            raise SystemExit(3)
        while kind == "stay":
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        return {"bytes": b"bytes", "surrogate": "a\\ud800b", "set": {1}}.get(kind)
"""
LATE = """
class Late:
    name = "late"
    description = "Comes when nobody expects it any more."
    parameters = {"type": "object"}
    closed = False

    def __init__(self, settings):
        pass

    async def call(self, arguments):
        return "better than never"

    async def close(self):
        Late.closed = True
"""
FAILED = {"error": "raw failed"}
HTTP = {"name": "order", "description": "Looks an order up.", "url": "https://shop.example/"}
POINTS = "[tandem.tools]\necho = tandem_echo:Echo\nnothing = tandem_echo:nothing\nlost = tandem_echo:Lost\n"
POINTS += "leave = tandem_echo:leave\nraw = tandem_echo:Raw\n"


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    with installed(tmp_path, monkeypatch, "tandem_echo", MODULE, POINTS):
        yield


def gauge(name):
    return REGISTRY.get_sample_value(TOOL_SOURCES_ABSENT, {"source": name})


async def test_a_factory_makes_the_tool(tools):
    box = await (await tools(python=[{"name": "echo", "settings": {"times": 2}}])).ready()
    assert await box.call("echo", text="ab") == ("success", "abab")
    assert (await box.call("echo"))[0] == "invalid_arguments"


@pytest.mark.parametrize(
    ("kind", "told"), [("nothing", None), ("bytes", "bytes"), ("surrogate", "a?b"), ("set", FAILED), ("exit", FAILED)]
)
@pytest.mark.parametrize("ask", [Orchestrator.chat, Orchestrator.stream])
async def test_what_its_author_forgot_ends_no_request(serve, engine, kind, told, ask):
    orchestrator = await serve(config_for(engine, tools={"attach": "always", "python": [{"name": "raw"}]}))
    engine.replies += [Reply("", (Call("raw", orjson.dumps({"kind": kind}).decode()),)), Reply("Done.")]
    assert "Done." in str(await ask(orchestrator))
    content = engine.seen[-1].body["messages"][-1]["content"]
    assert (content if isinstance(told, str) else orjson.loads(content)) == told


async def test_one_that_cannot_be_cancelled_delays_neither_its_request_nor_the_end(engine, tmp_path):
    tools = {"attach": "always", "timeoutSeconds": 0.2, "python": [{"name": "raw"}]}
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"upstreams": [{"name": "engine", "url": engine.url}], "tools": tools}))
    engine.replies += [Reply("", (Call("raw", '{"kind": "stay"}'),)), Reply("Done.")]
    async with serving("--config", str(file), PYTHONPATH=str(tmp_path), TANDEM_DRAIN_SECONDS="1") as running:
        async with running.client.post("/v1/chat/completions", json=question()) as response:
            assert (await response.json())["choices"][0]["message"]["content"] == "Done."
        assert "raw gave no result within 0.2 s" in engine.seen[-1].body["messages"][-1]["content"]
        async with asyncio.timeout(20):
            while (await running.metrics()).get('tandem_tool_calls_left{tool_name="raw"}') != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        running.terminate()
        code, lines = await running.ended()
    assert code == 0
    assert [line["tool"] for line in lines if "goes on" in str(line["event"])] == ["raw"]


@pytest.mark.parametrize("closes", ["by leaving", "never"])
async def test_one_that_does_not_close_keeps_nobody(monkeypatch, closes):
    monkeypatch.setattr(local_source, "CLOSE_SECONDS", 0.01)
    box = await Box(python=[{"name": "raw", "settings": {"closes": closes}}]).ready()
    async with asyncio.timeout(20):
        await box.close()


def test_it_is_loaded_before_anything_is_served():
    build(Tools.model_validate({"python": [{"name": "echo", "settings": {"times": 2}}]}))
    assert "tandem_echo" in sys.modules


THERE = ["echo", "leave", "lost", "nothing", "raw"]
MISSING = "the image does not have it: no installed package has an entry point 'missing' in tandem.tools"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "missing",
            f"{MISSING} (there are: {', '.join(THERE)}); use an image with the package, or correct the name",
        ),
        ("echo", "tandem_echo:Echo failed: KeyError: 'times'"),
        ("nothing", "tandem_echo:nothing gives object, which has no name, description, parameters, call"),
        ("lost", "tandem_echo:Lost failed: AttributeError"),
        ("leave", "tandem_echo:leave failed: SystemExit: no licence"),
    ],
)
async def test_one_that_cannot_be_used_is_absent(tools, name, problem):
    box = await tools(python=[{"name": name}], enabled=["calculate_math"])
    assert (await box.down()).startswith(f"tools of python {name}: tools.python.0: {problem}")
    assert box.toolbox.names == {"calculate_math"}


async def test_one_that_can_be_used_later_is_offered_then_and_closed_in_the_end(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "FIRST_DELAY", 0.01)
    box = await tools(python=[{"name": "late"}])
    await box.down()
    assert gauge("python late") == 1
    (tmp_path / "tandem_late.py").write_text(LATE)
    package = tmp_path / "tandem_late-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: tandem-late\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[tandem.tools]\nlate = tandem_late:Late\n")
    await box.ready()
    assert await box.call("late") == ("success", "better than never")
    assert gauge("python late") == 0
    late = sys.modules.pop("tandem_late").Late
    assert not late.closed
    await box.close()
    assert late.closed


async def test_a_tool_whose_own_words_are_wrong_is_left_out(tools):
    box = await tools(python=[{"name": "echo", "settings": {"times": 1}}], http=[{**HTTP, "name": "echo"}])
    assert await box.down() == "tools of python echo: another tool is called echo"


async def test_every_mistake_in_the_settings_is_told_at_once(tools):
    schema = {"type": "object", "properties": {"id": {"type": "nothing"}}}
    http = [{**HTTP, "parameters": schema}, {**HTTP, "name": "calculate_math"}]
    with pytest.raises(ConfigError) as caught:
        await tools(http=http, enabled=["calculate_math"])
    order, math = caught.value.problems
    assert order.startswith('tools.http.0: the parameters of order are no JSON schema: properties.id.type: "nothing"')
    assert math == "tools.http.1: another tool is called calculate_math"


def test_a_check_tells_everything_that_keeps_tools_away(tmp_path):
    (tmp_path / "url").write_text("mysql://host/db")
    settings = {
        "python": [{"name": "missing"}, {"name": "echo", "settings": {"times": 1}}],
        "http": [{**HTTP, "name": "calculate_math"}, {**HTTP, "name": "echo"}],
        "queryDatabase": {"urlFrom": {"file": str(tmp_path / "url")}},
    }
    with pytest.raises(ConfigError) as caught:
        check(Tools.model_validate(settings))
    database, math, missing, echo = caught.value.problems
    assert database.startswith(f"tools.queryDatabase: the URL in {tmp_path / 'url'} must begin with postgresql://")
    assert math == "tools.http.0: another tool is called calculate_math"
    assert missing.startswith(f"tools.python.0: {MISSING}")
    assert echo == "tools.python.1: another tool is called echo"
    nowhere = {"file": "/nowhere"}
    settings = {
        "python": [{"name": "missing"}],
        "http": [{**HTTP, "secretHeaders": [{"name": "a", "value": nowhere}]}],
        "openapi": [{"name": "shop", "document": nowhere}],
        "queryDatabase": {"urlFrom": nowhere},
    }
    with pytest.raises(ConfigError) as caught:
        check(Tools.model_validate(settings))
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        "tools.queryDatabase.urlFrom",
        "tools.http.0.secretHeaders.0.value",
        "tools.openapi.0.document",
        "tools.python.0",
    ]
