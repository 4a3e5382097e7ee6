"""Shapes that might keep an engine from its other clients are refused at every endpoint, before it hears of them."""

import pytest

from tests.engine_double import Reply
from tests.sockets.running import QUESTION, config_for

HEAVY = {"type": "object", "properties": {"a": {"type": "string", "pattern": "(a{1,1000}){1,1000}"}}}
INSIDE = "properties.a.pattern"
FORM = {"type": "json_schema", "json_schema": {"name": "x", "schema": HEAVY}}
ASKED = {"model": "double", "messages": QUESTION}
RESPONSE = {"model": "double", "input": "Hello"}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": HEAVY}}
MESSAGE = {**ASKED, "max_tokens": 9}


@pytest.mark.parametrize(
    ("endpoint", "body", "path"),
    [
        ("chat/completions", {**ASKED, "response_format": FORM}, f"response_format.json_schema.schema.{INSIDE}"),
        ("chat/completions", {**ASKED, "tools": [FUNCTION]}, f"tools.0.function.parameters.{INSIDE}"),
        ("chat/completions", {**ASKED, "vllm_xargs": {"regex": "(a{1,1000}){1,1000}"}}, "regex"),
        (
            "completions",
            {"model": "double", "prompt": "Hello", "structured_outputs": {"json": HEAVY}},
            f"structured_outputs.json.{INSIDE}",
        ),
        (
            "responses",
            {**RESPONSE, "text": {"format": {"type": "json_schema", "name": "x", "schema": HEAVY}}},
            f"text.format.schema.{INSIDE}",
        ),
        (
            "responses",
            {**RESPONSE, "tools": [{"type": "function", "name": "f", "parameters": HEAVY}]},
            f"tools.0.parameters.{INSIDE}",
        ),
        ("responses", {**RESPONSE, "structured_outputs": {"json": HEAVY}}, f"structured_outputs.json.{INSIDE}"),
        (
            "messages",
            {**MESSAGE, "output_config": {"format": {"type": "json_schema", "schema": HEAVY}}},
            f"output_config.format.schema.{INSIDE}",
        ),
        (
            "messages",
            {**MESSAGE, "tools": [{"name": "f", "input_schema": HEAVY}]},
            f"tools.0.input_schema.{INSIDE}",
        ),
    ],
)
async def test_no_endpoint_gives_it_to_an_engine(serve, engine, endpoint, body, path):
    orchestrator = await serve(config_for(engine))
    async with orchestrator.client.post(f"/v1/{endpoint}", json=body) as response:
        error = (await response.json())["error"]
        assert (response.status, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith(f"`{path}` is too much")
    if endpoint != "messages":
        assert (error["param"], error["code"]) == (path, "invalid_schema")
    assert not engine.seen
    engine.rule = lambda _: Reply("Hi")
    assert (await orchestrator.chat())[0] == 200
