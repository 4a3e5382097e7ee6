"""When a client that declares a tool of the server's name means the server's tool."""

from time import process_time
from timeit import repeat

import orjson
import pytest
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.declaration import fits
from tandem_orchestrator.tools.weather import Weather

MATH, WEATHER = Calculator.parameters, Weather.parameters
TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}
UNITS = {"type": "string", "enum": ["celsius", "fahrenheit"]}
ORDER = {
    "type": "object",
    "properties": {
        "lines": {"type": "array", "items": {"type": "object", "properties": {"id": WHOLE}, "required": ["id"]}},
        "note": {"anyOf": [TEXT, {"type": "null"}]},
        "price": NUMBER,
        "extra": {"type": "object"},
    },
}
TREE = {"type": "object", "properties": {"root": {"$ref": "#/$defs/node"}}, "$defs": {"node": {"type": "object"}}}


def takes(*required, **properties):
    return {"type": "object", "properties": properties, "required": list(required)}


def lines(**properties):
    return takes(lines={"type": "array", "items": takes(**properties)})


@pytest.mark.parametrize(
    ("declared", "ours"),
    [
        (None, MATH),  # by its name alone
        ({}, MATH),
        ({"type": "object", "properties": {}}, WEATHER),
        (takes("expression", expression=TEXT), MATH),
        (takes(expression={"description": "What to compute"}), MATH),
        (takes("expression", expression={"type": "string", "maxLength": 20}), MATH),
        (takes(location=TEXT), WEATHER),
        (takes("location", "unit", location=TEXT, unit=UNITS), WEATHER),
        (takes(location=TEXT, unit={"const": "celsius"}), WEATHER),
        (takes(location=TEXT, unit=TEXT), WEATHER),  # a wrong one is told to the model, as are all lesser limits
        (takes(price=WHOLE), ORDER),
        (takes(note=TEXT), ORDER),
        (takes(note={"type": ["string", "null"]}), {**ORDER, "properties": {"note": {"type": ["null", "string"]}}}),
        (takes(note={"oneOf": [{"type": "null"}, TEXT]}), ORDER),
        (lines(id=WHOLE), ORDER),
        (takes(extra=takes(anything=TEXT)), ORDER),
        (takes(anything=TEXT), {"type": "object"}),
        (TREE, TREE),
    ],
)
def test_a_declaration_that_fits(declared, ours):
    assert fits(declared, ours)


@pytest.mark.parametrize(
    ("declared", "ours"),
    [
        (takes("a", "b", a=NUMBER, b=NUMBER), MATH),
        (takes(expression=TEXT, precision=WHOLE), MATH),
        (takes(expression=NUMBER), MATH),
        (takes(expression={"type": ["string", "null"]}), MATH),
        (takes(expression={"anyOf": [TEXT, NUMBER]}), MATH),
        (takes(expression={"type": "array", "items": TEXT}), MATH),
        (takes(expression={"$ref": "#/$defs/x"}), MATH),
        (takes(expression=True), MATH),
        (takes(unit=UNITS), WEATHER),
        (takes(city=TEXT), WEATHER),
        (takes(location=TEXT, unit={"type": "string", "enum": ["c", "f"]}), WEATHER),
        (takes(location=TEXT, unit={"enum": ["celsius", "kelvin"]}), WEATHER),
        (takes(location=TEXT, unit={"const": "kelvin"}), WEATHER),
        (takes(location={"type": "object", "properties": {"lat": NUMBER}}), WEATHER),
        (takes(price=TEXT), ORDER),
        (takes(note=NUMBER), ORDER),
        (lines(name=TEXT), ORDER),
        (lines(id=TEXT), ORDER),
        (takes(root=TEXT), TREE),
        (takes(anything=TEXT), {"type": "object", "additionalProperties": False}),
        ([], MATH),
        ("none", MATH),
    ],
)
def test_a_declaration_of_another_tool(declared, ours):
    assert not fits(declared, ours)


@pytest.mark.parametrize(
    "large",
    [
        {"anyOf": [{"anyOf": [TEXT] * 1000}] * 1000},
        {"anyOf": [TEXT] * 100_000},
        {"type": ["string"] * 100_000},
        {"type": "string", "enum": ["celsius"] * 100_000},
        {str(number): TEXT for number in range(100_000)},
        takes(**{str(number): TEXT for number in range(100_000)}),
    ],
)
def test_a_large_declaration_is_not_walked_through(large):
    def compared() -> None:
        fits(takes(location=TEXT, unit=large), WEATHER)
        fits(large, WEATHER)

    walked = min(repeat(lambda: orjson.dumps(large), timer=process_time, repeat=5, number=1))
    assert 10 * min(repeat(compared, timer=process_time, repeat=5, number=1)) < walked


@pytest.mark.parametrize(
    "broken",
    [
        {"type": {"a": 1}, "properties": {"expression": {"type": [{}]}}},
        {"properties": [1]},
        {"properties": {"expression": {"enum": 3, "items": 4, "anyOf": 5, "properties": 6}}},
        {"properties": {"expression": {"enum": [[], {}]}}},
        {"anyOf": [1, "x", None]},
    ],
)
def test_what_is_no_schema_fails_nowhere(broken):
    assert fits(broken, MATH) in (True, False)
