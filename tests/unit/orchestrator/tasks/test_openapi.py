"""What OpenAPI tells of tasks: schemas moved among the document's, whose references still lead where they did."""

from typing import Any

from tandem_orchestrator.tasks.openapi import SCHEMAS, described

NODE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        "first": {"$ref": "#/properties/next"},
        "all": {"type": "array", "items": {"$ref": "#"}},
        "$ref": {"type": "string", "default": {"$ref": "#/$defs/Node"}},
        "enum": {"$ref": "#/$defs/a~1b%20c"},
    },
    "$defs": {"Node": {"type": "object", "properties": {"x": {"$ref": "#/$defs/a~1b c/not"}}}, "a/b c": {"not": True}},
}


def task(name: str, *versions: Any, path: str | None = None) -> dict[str, Any]:
    told = [
        {"version": str(n + 1), "weight": n, "input": given, "output": made} for n, (given, made) in enumerate(versions)
    ]
    return {"name": name, "object": "task", "description": "Does it.", "path": path, "versions": told}


def references(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for inner in value for found in references(inner)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for key, inner in value.items() if key != "default" for found in references(inner)]


def test_references_lead_where_they_did():
    paths, schemas = described([task("a-task", (NODE, NODE), path="/a")], [], 9)
    assert schemas["ATaskInput"]["properties"]["$ref"]["default"] == {"$ref": "#/$defs/Node"}
    assert schemas["ATaskInput"]["properties"]["enum"] == {"$ref": f"{SCHEMAS}ATaskInputABC"}
    assert schemas["ATaskInput"]["properties"]["all"]["items"] == {"$ref": f"{SCHEMAS}ATaskInput"}
    assert schemas["ATaskInputNode"]["properties"]["x"] == {"$ref": f"{SCHEMAS}ATaskInputABC/not"}
    assert not {"$defs", "$schema"} & schemas["ATaskOutput"].keys()
    for reference in references([paths, schemas]):
        assert reference.startswith(SCHEMAS)
        found: Any = schemas
        for part in reference.removeprefix(SCHEMAS).split("/"):
            found = found[part]


def test_each_name_is_given_once():
    one = {"type": "object", "properties": {"x": {}}}
    tasks = [
        task("a-b", (one, one)),
        task("a--b", (one, one)),
        task("ab", (one, one)),
        task("a-b-output", (one, one), path="/x"),
    ]
    tasks[0]["path"] = "/y"
    paths, schemas = described(tasks, ["ABInput", "TaskError"], 9)
    assert {"ABInput2", "ABInput3", "AbInput4", "ABOutput", "ABOutput2", "TaskError2"} <= schemas.keys()
    names = [path["post"]["operationId"] for path in paths.values()]
    assert len(names) == len(set(names)) == 6


def test_versions_that_differ_are_either():
    one, other = {"type": "object"}, {"type": "object", "required": ["x"]}
    paths, _ = described([task("a", (one, one), (one, other), (one, other), path="/a")], [], 9)
    post = paths["/a"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"] == {"$ref": f"{SCHEMAS}AInput"}
    made = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert made == {"anyOf": [{"$ref": f"{SCHEMAS}AOutput"}, {"$ref": f"{SCHEMAS}AOutput2"}]}
    assert post["description"].endswith("by weight: 1 (weight 0), 2 (weight 1), 3 (weight 2).")
