import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import orjson
import pytest
from prometheus_client import REGISTRY
from tandem_contract.config import Tools
from tandem_contract.metrics import TOOL_CALLS_LEFT
from tandem_orchestrator.tools import bounded_call, source
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.passage import CUT_MARK
from tandem_orchestrator.tools.tool import ToolError
from tandem_orchestrator.tools.toolbox import InvalidTool, Toolbox, ToolCall

from tests.sockets.open_meteo import OpenMeteo
from tests.sockets.running import until


class Probe:
    name = "probe"
    description = "Does what the test wants."
    parameters = {  # noqa: RUF012 # as the tools do
        "type": "object",
        "properties": {"n": {"type": "integer", "minimum": 0}},
        "required": ["n"],
        "additionalProperties": False,
    }

    def __init__(self, act):
        self._act = act

    async def call(self, arguments):
        return await self._act(arguments["n"])


async def run(act, arguments='{"n": 1}', seconds=1.0, size=1000, name="probe"):
    toolbox = Toolbox([Probe(act)], Tools(timeout_seconds=seconds, max_result_bytes=size))
    return await toolbox.run(ToolCall("id", name, arguments), toolbox.names, 60.0)


async def echo(n):
    return str(n)


def told(result):
    return orjson.loads(result.content)["error"]


async def test_success():
    result = await run(echo)
    assert (result.status, result.content, result.call.id) == ("success", "1", "id")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ('{"n": 1', "not JSON"),
        ('{"n": "1"}', "n: "),
        ('{"n": -1}', "minimum"),
        ('{"n": 1, "m": 2}', "'m'"),
        ("{}", '"n" is a required property'),
        ("", '"n" is a required property'),
        ("[1]", "object"),
    ],
)
async def test_arguments_that_do_not_fit(arguments, complaint):
    result = await run(echo, arguments)
    assert result.status == "invalid_arguments"
    assert complaint in told(result)


async def test_an_unknown_tool():
    result = await run(echo, name="prob")
    assert (result.status, "'prob'" in told(result)) == ("invalid_arguments", True)


async def test_a_tools_own_error():
    async def refuse(n):
        raise ToolError("no data")

    result = await run(refuse)
    assert (result.status, result.content) == ("error", '{"error":"no data"}')


async def test_a_defect_is_told_without_its_details():
    async def fail(n):
        raise RuntimeError("password=hunter2")

    result = await run(fail)
    assert (result.status, told(result)) == ("error", "probe failed")


async def test_a_tool_that_takes_too_long():
    async def hang(n):
        await asyncio.Event().wait()

    result = await run(hang, seconds=0.01)
    assert result.status == "timeout"
    assert "0.01 s" in told(result)


@dataclass
class Point:
    x: int


RESULTS = [
    (None, "null"),
    (3, "3"),
    (float("nan"), "null"),
    ({"a": [1, None]}, '{"a":[1,null]}'),
    (Point(1), '{"x":1}'),
    (b"caf\xc3\xa9", "café"),
    (bytearray(b"x"), "x"),
    ("a\ud800b", "a?b"),
    ("", ""),
]


@pytest.mark.parametrize(("value", "content"), RESULTS)
async def test_whatever_a_tool_returns_becomes_text(value, content):
    async def give(n):
        return value

    result = await run(give)
    assert (result.status, result.content) == ("success", content)


def nested(depth):
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    "value",
    [{1, 2}, 2**70, b"\xff", object(), nested(300), {1: 2}, ["\ud800"], (n for n in "ab"), Probe, RuntimeError()],
)
async def test_what_is_no_text_is_the_tools_failure(value):
    async def give(n):
        return value

    result = await run(give)
    assert (result.status, told(result)) == ("error", "probe failed")


@pytest.mark.parametrize(
    "error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit(), BaseException("x")]
)
async def test_a_tool_ends_neither_the_request_nor_the_server(error):
    async def fail(n):
        await asyncio.sleep(0)
        raise error

    result = await run(fail)
    assert (result.status, told(result)) == ("error", "probe failed")


async def test_a_tool_that_cancels_itself():
    async def cancel(n):
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        await asyncio.sleep(0)

    assert told(await run(cancel)) == "probe failed"


async def test_an_error_of_any_characters_is_told():
    async def refuse(n):
        raise ToolError("no \ud800 data")

    assert told(await run(refuse)) == "no ? data"


def left():
    return REGISTRY.get_sample_value(TOOL_CALLS_LEFT, {"tool_name": "probe"}) or 0.0


@pytest.fixture
async def stubborn(monkeypatch):
    """A tool's work that no cancellation ends, until the test is over."""
    monkeypatch.setattr(bounded_call, "GRACE_SECONDS", 0.01)
    release = asyncio.Event()

    async def work(n):
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    yield work
    release.set()
    await until(lambda: not left())


async def test_time_holds_for_a_tool_that_cannot_be_cancelled(stubborn):
    started = perf_counter()
    result = await run(stubborn, seconds=0.05)
    assert (result.status, perf_counter() - started < 0.5) == ("timeout", True)
    await until(lambda: left() == 1)


async def test_the_request_ends_without_a_tool_that_cannot_be_cancelled(stubborn):
    calling = asyncio.create_task(run(stubborn, seconds=60.0))
    await asyncio.sleep(0.01)
    calling.cancel()
    done, _ = await asyncio.wait({calling}, timeout=0.5)
    assert done
    assert calling.cancelled()
    await until(lambda: left() == 1)


async def test_calls_that_are_left_behind_keep_their_turn(stubborn):
    started = 0

    async def counted(n):
        nonlocal started
        started += 1
        return await stubborn(n)

    toolbox = Toolbox([Probe(counted)], Tools(max_concurrent=2, timeout_seconds=0.02))
    call = ToolCall("id", "probe", '{"n": 1}')
    results = [await toolbox.run(call, toolbox.names, 60.0) for _ in range(4)]
    assert ([result.status for result in results], started) == (["timeout"] * 4, 2)
    await until(lambda: left() == 2)


async def test_a_tool_that_ends_in_time_is_not_left():
    async def hang(n):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)

    assert (await run(hang, seconds=0.01)).status == "timeout"
    await asyncio.sleep(0)
    assert not left()


async def test_a_long_result_is_cut_between_characters():
    async def long(n):
        return "é" * 1000

    content = (await run(long, size=301)).content
    assert content == "é" * 150 + CUT_MARK


async def test_a_tool_that_is_not_offered_is_not_run():
    async def never(n):
        raise AssertionError

    toolbox = Toolbox([Probe(never)], Tools())
    result = await toolbox.run(ToolCall("id", "probe", '{"n": 1}'), frozenset({"other"}), 60.0)
    assert (result.status, "'probe'" in told(result)) == ("invalid_arguments", True)


async def test_a_call_has_no_more_time_than_the_request():
    async def hang(n):
        await asyncio.Event().wait()

    toolbox = Toolbox([Probe(hang)], Tools())
    result = await toolbox.run(ToolCall("id", "probe", '{"n": 1}'), toolbox.names, 0.01)
    assert (result.status, "0.01 s" in told(result)) == ("timeout", True)


async def test_calls_of_one_tool_are_bounded():
    running, most, enough = 0, 0, asyncio.Event()

    async def count(n):
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 2:
            enough.set()
        await enough.wait()
        await asyncio.sleep(0)
        running -= 1
        return str(n)

    toolbox = Toolbox([Probe(count)], Tools(max_concurrent=2))
    calls = [ToolCall(str(n), "probe", f'{{"n": {n}}}') for n in range(5)]
    results = await asyncio.gather(*(toolbox.run(call, toolbox.names, 60.0) for call in calls))
    assert ([result.content for result in results], most) == (["0", "1", "2", "3", "4"], 2)


async def test_the_calculator_behind_the_protocol():
    toolbox = Toolbox([Calculator()], Tools())
    result = await toolbox.run(ToolCall("id", "calculate_math", '{"expression": "123 * 456"}'), toolbox.names, 60.0)
    assert result.content == "56088"
    started = perf_counter()
    result = await toolbox.run(ToolCall("id", "calculate_math", '{"expression": "9**9**9"}'), toolbox.names, 60.0)
    assert (result.status, told(result)) == ("error", "the result is too large")
    assert perf_counter() - started < 0.05


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "no name"}, "no name of a tool"),
        ({"parameters": {"type": "string"}}, '"type": "object"'),
        ({"parameters": {"type": "object", "properties": {"n": {"type": "numbr"}}}}, "probe are no JSON schema"),
        ({"parameters": {"type": "object", "$ref": "https://example.com/schema"}}, "probe are no JSON schema"),
    ],
)
def test_a_tool_that_cannot_be_offered(change, complaint):
    tool = Probe(echo)
    for name, value in change.items():
        setattr(tool, name, value)
    with pytest.raises(InvalidTool, match=complaint):
        Toolbox([tool], Tools())


async def test_a_schema_reaches_nothing_outside():
    async with OpenMeteo() as inside:
        tool = Probe(echo)
        for place in (f"{inside.url}/schema", "file:///etc/hostname"):
            tool.parameters = {"type": "object", "properties": {"n": {"$ref": place}}}
            with pytest.raises(InvalidTool, match="no JSON schema"):
                await asyncio.to_thread(Toolbox, [tool], Tools())
        assert not inside.asked


def test_two_tools_of_one_name():
    with pytest.raises(InvalidTool, match="another tool is called probe"):
        Toolbox([Probe(echo), Probe(echo)], Tools())


class Outside:
    """A source that does what the test sends it."""

    name = "outside"

    def __init__(self):
        self.says: asyncio.Queue[Any] = asyncio.Queue()
        self.heard = asyncio.Event()

    async def follow(self, offer):
        while True:
            tools = await self.says.get()
            if isinstance(tools, Exception):
                raise tools
            offer(tools)
            self.heard.set()


async def test_tools_of_a_source_come_and_go(monkeypatch):
    monkeypatch.setattr(source, "FIRST_DELAY", 0.001)
    outside, toolbox = Outside(), None
    toolbox = Toolbox([Calculator()], Tools(), [outside])
    assert toolbox.degraded() == ["tools of outside: not reached yet"]
    watching = asyncio.create_task(toolbox.watch())
    outside.says.put_nowait([Probe(echo)])
    await outside.heard.wait()
    assert toolbox.names == {"calculate_math", "probe"}
    assert toolbox.degraded() == []
    outside.says.put_nowait(source.SourceError("it fell over"))
    await until(toolbox.degraded)
    assert toolbox.names == {"calculate_math"}
    assert toolbox.degraded() == ["tools of outside: it fell over"]
    gone = await toolbox.run(ToolCall("id", "probe", '{"n": 1}'), {"probe"}, 60.0)
    assert (gone.status, told(gone)) == ("error", "probe is not there at the moment")
    outside.says.put_nowait([Probe(echo)])
    await until(lambda: "probe" in toolbox.names)
    watching.cancel()
    await asyncio.wait([watching])


async def test_a_source_cannot_take_a_name_nor_bring_what_is_broken():
    outside = Outside()
    toolbox = Toolbox([Calculator()], Tools(), [outside])
    watching = asyncio.create_task(toolbox.watch())
    broken = Probe(echo)
    broken.parameters = {}
    outside.says.put_nowait([Calculator(), broken])
    await outside.heard.wait()
    assert toolbox.names == {"calculate_math"}
    assert [line.partition(": ")[2] for line in toolbox.degraded()] == [
        "another tool is called calculate_math",
        'the parameters of probe must be a JSON schema with "type": "object"',
    ]
    watching.cancel()
    await asyncio.wait([watching])
