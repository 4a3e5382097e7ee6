import pytest
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


def test_both_tiers_hear_of_it():
    settings = {"upstreams": [{"name": "a", "url": "http://a", "model": "m"}], "tasks": [task(), task(model="n")]}
    config = OrchestratorConfig.model_validate(settings)
    assert [line.partition(":")[0] for line in checks.errors(config)] == ["tasks.1.version"]
    assert [line.partition(":")[0] for line in checks.warnings(config)] == ["tasks.1.model", "keys"]
