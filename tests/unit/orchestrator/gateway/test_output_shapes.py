"""Shapes of answers in the fields of all engines: where they are found, and what is said of them."""

import json

import pytest
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.output_shapes import MOST_TEXT, SHAPES, check_shapes

HEAVY = "(a{1,1000}){1,1000}"
SCHEMA = {"type": "object", "properties": {"a": {"pattern": HEAVY}}}
TEXT = json.dumps(SCHEMA)
GRAMMAR = 'root ::= (("a"){1,1000}){1,1000}'
MANY = [f"choice {n}" for n in range(5_000)]
TAG = {"type": "structural_tag", "format": {"type": "json_schema", "json_schema": SCHEMA}}
INSIDE = "properties.a.pattern"


def declared(schema, **fields):
    return {"type": "function", "function": {"name": "f", "parameters": schema, **fields}}


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"response_format": {"json_schema": {"schema": SCHEMA}}}, f"response_format.json_schema.schema.{INSIDE}"),
        ({"response_format": {"type": "json_object", "schema": SCHEMA}}, f"response_format.schema.{INSIDE}"),
        ({"response_format": {"type": "json", "value": SCHEMA}}, f"response_format.value.{INSIDE}"),
        ({"response_format": {"type": "json", "value": TEXT}}, f"response_format.value.{INSIDE}"),
        ({"response_format": {"type": "regex", "value": HEAVY}}, "response_format.value"),
        ({"response_format": TAG}, f"response_format.format.json_schema.{INSIDE}"),
        ({"structured_outputs": {"json": SCHEMA}}, f"structured_outputs.json.{INSIDE}"),
        ({"structured_outputs": {"json": TEXT}}, f"structured_outputs.json.{INSIDE}"),
        ({"structured_outputs": {"regex": HEAVY}}, "structured_outputs.regex"),
        ({"structured_outputs": {"choice": MANY}}, "structured_outputs.choice"),
        ({"structured_outputs": {"grammar": GRAMMAR}}, "structured_outputs.grammar"),
        (
            {"structured_outputs": {"structural_tag": json.dumps(TAG)}},
            f"structured_outputs.structural_tag.format.json_schema.{INSIDE}",
        ),
        ({"guided_json": TEXT}, f"guided_json.{INSIDE}"),
        ({"guided_regex": HEAVY}, "guided_regex"),
        ({"guided_choice": MANY}, "guided_choice"),
        ({"guided_grammar": GRAMMAR}, "guided_grammar"),
        ({"json_schema": SCHEMA}, f"json_schema.{INSIDE}"),
        ({"regex": HEAVY}, "regex"),
        ({"ebnf": GRAMMAR}, "ebnf"),
        ({"structural_tag": json.dumps(TAG)}, f"structural_tag.format.json_schema.{INSIDE}"),
        ({"grammar": GRAMMAR}, "grammar"),
        ({"grammar": {"type": "regex", "value": HEAVY}}, "grammar.value"),
        ({"tools": [declared({}), declared(SCHEMA)]}, f"tools.1.function.parameters.{INSIDE}"),
    ],
)
def test_each_field_is_looked_into(payload, path):
    with pytest.raises(BadRequest) as refused:
        check_shapes(payload)
    assert (refused.value.param, refused.value.code) == (path, "invalid_schema")
    assert refused.value.message.startswith(f"`{path}` ")


@pytest.mark.parametrize("name", sorted(SHAPES))
@pytest.mark.parametrize("value", [None, True, 7, -1.5, "7", [], [None, 1, "a"], {}, {"type": 5, "value": 5}])
def test_what_is_none_is_the_engines_to_judge(name, value):
    check_shapes({name: value})
    check_shapes({"structured_outputs": {name: value, "json": value}, "tools": [{name: value}, {"function": value}]})


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', "[" * 2000])
def test_a_text_that_is_no_schema_is_refused(text):
    with pytest.raises(BadRequest, match=r"^`guided_json` is not JSON: ") as refused:
        check_shapes({"guided_json": text})
    assert (refused.value.param, refused.value.code) == ("guided_json", "invalid_schema")


def test_a_schema_in_a_text_is_given_on_as_it_was_read():
    twice = '{"type": "string", "pattern": "a", "pattern": "b"}'
    payload = {"structured_outputs": {"json": twice, "structural_tag": twice}}
    check_shapes(payload)
    read = {"type": "string", "pattern": "b"}
    assert payload == {"structured_outputs": {"json": read, "structural_tag": '{"type":"string","pattern":"b"}'}}
    with pytest.raises(BadRequest, match=f"may have {MOST_TEXT} characters"):
        check_shapes({"guided_json": " " * MOST_TEXT + "{}"})


@pytest.mark.parametrize(
    "forced", [{"tool_choice": "required"}, {"strict": True}, {"tool_choice": {"type": "function"}}]
)
def test_tools_count_together_where_an_engine_makes_one_grammar_of_them(forced):
    wide = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(100)}}
    tools = [declared(wide, strict=forced.get("strict")) for _ in range(50)]
    with pytest.raises(BadRequest, match=r"^`tools.*more than 4000 properties"):
        check_shapes({"tools": tools, **forced})
    for free in (None, "auto", "none"):
        check_shapes({"tools": [declared(wide)] * 50, "tool_choice": free})
