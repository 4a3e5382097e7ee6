import asyncio

import orjson
import pytest
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.tool import ToolError
from tandem_orchestrator.tools.toolbox import CUT_MARK, Toolbox, ToolCall


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
    return await Toolbox([Probe(act)], seconds, size).run(ToolCall("id", name, arguments))


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


async def test_a_long_result_is_cut_between_characters():
    async def long(n):
        return "é" * 1000

    content = (await run(long, size=301)).content
    assert content == "é" * 150 + CUT_MARK


async def test_calls_run_side_by_side_and_results_keep_their_order():
    meeting = asyncio.Barrier(5)

    async def meet(n):
        await meeting.wait()
        return str(n)

    toolbox = Toolbox([Probe(meet)], 1.0, 1000)
    results = await toolbox.run_all([ToolCall(str(n), "probe", f'{{"n": {n}}}') for n in range(5)])
    assert [result.content for result in results] == ["0", "1", "2", "3", "4"]


async def test_the_calculator_behind_the_protocol():
    toolbox = Toolbox([Calculator()], 1.0, 1000)
    result = await toolbox.run(ToolCall("id", "calculate_math", '{"expression": "123 * 456"}'))
    assert result.content == "56088"
    result = await toolbox.run(ToolCall("id", "calculate_math", '{"expression": "9**9**9"}'))
    assert (result.status, told(result)) == ("error", "the result is too large")
