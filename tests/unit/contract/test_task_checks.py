import pytest
import yaml
from tandem_contract.config import OrchestratorConfig, Task, checks, task_checks

INPUT = {"properties": {"message": {"type": "string"}}}


def task(**settings):
    return {"name": "a", "prompt": "{{ message }}", "input": INPUT, "output": {"type": "object"}, **settings}


def found(*tasks):
    return [problem.partition(":")[0] for problem in task_checks.errors([Task.model_validate(each) for each in tasks])]


@pytest.mark.parametrize(
    ("tasks", "where"),
    [
        ([task(path="/a"), task(version="2", weight=0, path="/a"), task(version="3"), task(name="b", path="/a/b")], []),
        ([task(), task()], ["tasks.1.version"]),
        ([task(weight=0), task(version="2", weight=0), task(name="b", weight=0)], ["tasks.0.weight", "tasks.2.weight"]),
        ([task(path="/a"), task(name="b", path="/a")], ["tasks.1.path"]),
        ([task(path="/a"), task(version="2", path="/b")], ["tasks.1.path"]),
        ([task(path=path) for path in ["/v1/tasks/a"]], ["tasks.0.path"]),
        ([task(prompt="x", input={"type": "string"})], ["tasks.0.input.type"]),
        ([task(prompt="x", input={"type": ["object", "null"]})], ["tasks.0.input.type"]),
        ([task(input={"properties": {"message": {"type": "txt"}}})], ["tasks.0.input.properties.message.type"]),
        ([task(output={"required": "a"})], ["tasks.0.output.required"]),
        ([task(output={"$ref": "http://127.0.0.1:9/schema"})], ["tasks.0.output"]),
        ([task(output=None, outputClass="x")], []),
        (
            [task(parameters={"model": "m", "messages": [], "temperature": 0, "n": 2})],
            ["tasks.0.parameters.messages", "tasks.0.parameters.model", "tasks.0.parameters.n"],
        ),
        (
            [task(prompt="{{ masage }}"), task(name="b", systemPrompt="{{ x }}")],
            ["tasks.0.prompt", "tasks.1.systemPrompt"],
        ),
        ([task(prompt="{{ x }}", input={"additionalProperties": True})], []),
        ([task(prompt="{{ x }}", input={"patternProperties": {"x": {}}})], []),
        ([task(prompt="{% for message in [message] %}{{ message }}{{ loop.index }}{% endfor %}")], []),
        ([task(prompt="{{ documents }}")], ["tasks.0.prompt"]),
        ([task(prompt="{{ documents }}", retrieval={"vectorStoreIds": ["v"], "query": "{{ message }}"})], []),
        ([task(retrieval={"vectorStoreIds": ["v"], "query": "{{ documents }}"})], ["tasks.0.retrieval.query"]),
        (
            [
                task(
                    input={"properties": {"message": {}, "documents": {}}},
                    retrieval={"vectorStoreIds": ["v"], "query": "x"},
                )
            ],
            ["tasks.0.input.properties.documents"],
        ),
    ],
)
def test_what_makes_tasks_unusable(tasks, where):
    assert found(*tasks) == where


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"properties": {"a": {"type": "string", "description": "One", "two": None}}}, "properties.a.two"),
        ({"properties": {"two": {"anyOf": [{}, {"items": {"x": None}}]}}}, "properties.two.anyOf.1.items.x"),
        ({"$defs": {"a": {"additionalProperties": {"x": None}}}}, "$defs.a.additionalProperties.x"),
        ({"x": None}, "x"),
        ({"required": None}, "required"),
        ({"properties": {"a": None}}, "properties.a"),
        ({"properties": {"a": {"default": None}, "const": {"enum": ["a", None], "const": None}}}, None),
        ({"examples": [None, {"x": None}], "x-shown": {"x": None}}, None),
    ],
)
def test_a_null_in_a_schema_is_most_often_half_a_text(schema, where):
    for side in ("input", "output"):
        problems = list(task_checks.errors([Task.model_validate(task(prompt="x", **{side: schema}))]))
        assert [problem.partition(":")[0] for problem in problems] == ([f"tasks.0.{side}.{where}"] if where else [])


def test_what_yaml_made_of_a_comma_is_told_with_its_remedy():
    output = yaml.safe_load("{type: object, properties: {a: {type: string, description: One, two}}}")
    (problem,) = task_checks.errors([Task.model_validate(task(output=output))])
    assert problem.startswith("tasks.0.output.properties.a.two: no JSON schema: it is null, and no keyword; quote the")


def test_both_tiers_hear_of_it():
    settings = {"upstreams": [{"name": "a", "url": "http://a", "model": "m"}], "tasks": [task(), task(model="n")]}
    config = OrchestratorConfig.model_validate(settings)
    assert [line.partition(":")[0] for line in checks.errors(config)] == ["tasks.1.version"]
    assert [line.partition(":")[0] for line in checks.warnings(config)] == ["tasks.1.model", "keys"]
