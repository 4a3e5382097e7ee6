"""JSON schemas that engines get, and those that they are kept from."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import Field, create_model
from tandem_contract.output_shape import DEEPEST, MOST_CHARACTERS, MOST_PARTS, ShapeError, check_schema

TICKETS = Path(__file__).parents[3] / "examples/tasks/tickets.yaml"
RECURSIVE: dict[str, Any] = {
    "$defs": {
        "Extension": {"properties": {"url": {"format": "uri"}, "extension": {"items": {"$ref": "#/$defs/Extension"}}}},
        "Patient": {
            "properties": {
                "id": {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"},
                "contact": {"type": "array", "items": {"$ref": "#/$defs/Patient"}, "maxItems": 100},
                "link": {"anyOf": [{"$ref": "#/$defs/Patient"}, {"$ref": "#/$defs/Extension"}, {"type": "null"}]},
            },
            "required": ["id"],
        },
    },
    "$ref": "#/$defs/Patient",
}
FIELDS: dict[str, Any] = {
    f"field_{n}": (list[str] | None, Field(None, description="x" * 500, max_length=50)) for n in range(200)
}
KEYWORDS = {"properties": {name: {"type": "string"} for name in ("pattern", "$ref", "enum", "maxItems", "required")}}


def nested(levels):
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels // 2):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        *(task[side] for task in yaml.safe_load(TICKETS.read_text())["tasks"] for side in ("input", "output")),
        create_model("Large", **FIELDS).model_json_schema(),
        RECURSIVE,
        KEYWORDS,
        nested(DEEPEST - 2),
        {"enum": [f"country {n}" for n in range(300)], "maxLength": 1_000_000},
        {"description": "x" * 1_000_000},
        {"$ref": "#"},
    ],
)
def test_what_people_write_goes_on(schema):
    before = json.dumps(schema)
    check_schema(schema)
    assert json.dumps(schema) == before


@pytest.mark.parametrize(
    ("schema", "path", "says"),
    [
        (nested(DEEPEST + 2), ".".join(["properties.a"] * (DEEPEST // 2)), "deeper than"),
        ({"properties": {f"p{n}": {} for n in range(MOST_PARTS + 1)}}, "properties", "alternatives"),
        ({"properties": {"a": {"enum": list(range(MOST_PARTS + 1))}}}, "properties.a.enum", "alternatives"),
        ({"anyOf": [{"properties": {"a": {}, "b": {}}}] * (MOST_PARTS // 2)}, "anyOf.", "alternatives"),
        ({"a": dict.fromkeys(map(str, range(MOST_CHARACTERS + 1)), 1)}, "a", "characters"),
        ({"const": "a" * (MOST_CHARACTERS + 1)}, "", "characters"),
        ({"enum": ["a" * (MOST_CHARACTERS + 1)]}, "enum", "characters"),
        ({"properties": {"a" * (MOST_CHARACTERS + 1): {}}}, "properties", "characters"),
        ({"items": {"pattern": "(a{1,100}){1,100}"}}, "items.pattern", "repetitions"),
        ({"anyOf": [{"pattern": "a{3000}"}, {"pattern": "b{3000}"}]}, "anyOf.1.pattern", "repetitions"),
        ({"patternProperties": {"(a{1,100}){1,100}": {}}}, "patternProperties", "repetitions"),
        ({"items": {"maxItems": 1_000_000}}, "items.maxItems", "at most 10000"),
        ({"minItems": 1e6}, "minItems", "at most 10000"),
        ({"$ref": "http://127.0.0.1:9/x"}, "$ref", "in the schema itself"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "items.$ref", "in the schema itself"),
        ({"default": {"of": {"$ref": "x#/a"}}, "$ref": "#/default/of"}, "default.of.$ref", "in the schema itself"),
    ],
)
def test_what_is_too_much_is_refused_where_it_stands(schema, path, says):
    with pytest.raises(ShapeError, match=says) as refused:
        check_schema(schema)
    assert refused.value.path.startswith(path) if path.endswith(".") else refused.value.path == path
