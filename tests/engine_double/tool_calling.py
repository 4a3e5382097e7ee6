"""How engines answer those who look whether they call tools: rightly, and as users of a wrong parser know them."""

from collections.abc import Callable
from typing import Any

from tests.engine_double.reply import Call, Reply

Rule = Callable[[dict[str, Any]], Reply]
PARIS = '{"location": "Paris"}'
IN_HERMES = '<tool_call>\n{"name": "get_current_weather", "arguments": {"location": "Paris"}}\n</tool_call>'
CALLED = Reply("", (Call("get_current_weather", PARIS),))
NO_PARSER = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'


def well(request: dict[str, Any]) -> Reply:
    """All three right."""
    return Reply('{"colour": "red"}') if "response_format" in request else CALLED


def but(on: str, reply: Reply) -> Rule:
    """All right, but for requests that have a certain field that is no empty one."""
    return lambda request: reply if request.get(on) else well(request)


as_text = but("tools", Reply(IN_HERMES))
"""The parser is for another way of writing calls."""
in_words = but("tools", Reply("It is sunny in Paris."))
"""The chat template does not show tools."""
broken_arguments = but("tools", Reply("", (Call("get_current_weather", '{"location": "Par'),)))
broken_stream = but("stream", Reply("", (Call("get_current_weather", '{"location": "Par'),)))
streamed_as_text = but("stream", Reply(IN_HERMES))
without_schemas = but("response_format", Reply("Red."))
"""It ignores `response_format`."""
refusing = but("tools", Reply(status=400, error={"message": NO_PARSER, "type": "BadRequestError", "code": 400}))
failing = but("tools", Reply(status=500, error={"message": "no tool call token", "type": "Internal", "code": 500}))
busy = but("tools", Reply(status=503, error={"message": "at work", "type": "Unavailable", "code": 503}))
