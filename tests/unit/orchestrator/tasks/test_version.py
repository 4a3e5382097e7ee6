import orjson
import pytest
from tandem_contract.config import Task
from tandem_orchestrator.config import ConfigError
from tandem_orchestrator.errors import BadRequest, NotFound, Unfit
from tandem_orchestrator.tasks.asking import Asking, Said
from tandem_orchestrator.tasks.output import MOST_CHARACTERS, Misfit, SchemaOutput
from tandem_orchestrator.tasks.version import Version
from tandem_orchestrator.tasks.versions import Versions

NUMBERS = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def version(**fields):
    defaults = {"name": "count", "prompt": "{{ text }}", "input": {"properties": {"text": {}}}, "output": NUMBERS}
    return Version(Task.model_validate({**defaults, **fields}), "tasks.0")


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"other": 1}, "input.other"),
        ([], "input"),
        (None, "input"),
        ({"text": {"a": []}, "list": []}, "input.list"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_where_they_do_not(given, param):
    with pytest.raises(BadRequest) as raised:
        version().check(given, "input")
    assert (raised.value.param, raised.value.code) == (param, "invalid_input")


def test_an_input_may_have_other_properties_where_its_schema_says_so():
    version(input={"properties": {"text": {}}, "additionalProperties": True}).check({"text": "", "other": 1}, "input")


def test_what_a_prompt_cannot_be_made_of_is_the_clients_to_mend():
    with pytest.raises(BadRequest, match=r"`input`: no prompt can be made of it: .*text"):
        version().messages({}, None, "input")


def test_patterns_take_time_in_proportion_to_a_text():
    """With a backtracking engine this one takes longer than there is."""
    evil = {"properties": {"text": {"pattern": "^(a+)+$"}}}
    with pytest.raises(BadRequest):
        version(input=evil).check({"text": "a" * 50_000 + "!"}, "input")
    with pytest.raises(ConfigError, match=r"tasks\.0\.output\.properties\.n\.pattern"):
        version(output={"properties": {"n": {"pattern": "(?!a)"}}})


def test_a_system_prompt_comes_first_and_with_tools_the_schema_behind_it():
    asked = version(systemPrompt="About {{ text }}", tools=["look"]).messages({"text": "x"}, None, "input")
    assert [message["role"] for message in asked] == ["system", "user"]
    assert asked[0]["content"].startswith("About x\n\nUnless you call a tool, answer with one JSON document")
    assert orjson.dumps(NUMBERS).decode() in asked[0]["content"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"n": "1"}', 'n: "1" is not of type "integer"'),
        ("{}", '"n" is a required property'),
        ('{"n": 1', "it is not JSON"),
        ("NaN", "it is not JSON"),
        ('{"n": "\\ud800"}', "it is not JSON"),
        ("x" * (MOST_CHARACTERS + 1), "characters"),
        ('{"n": ' + "[" * 500 + "]" * 500 + "}", "ecursion"),
    ],
    ids=lambda value: value[:20],
)
def test_outputs_that_do_not_fit(text, problem):
    with pytest.raises(Misfit, match=problem.replace("[", r"\[")):
        SchemaOutput(NUMBERS).read(text)


def test_a_model_is_told_of_several_problems_but_not_of_all_and_not_at_length():
    many = SchemaOutput({"items": {"type": "integer"}})
    with pytest.raises(Misfit) as raised:
        many.read(orjson.dumps(["x" * 10_000] * 100).decode())
    lines = str(raised.value).split("\n")
    assert len(lines) == 5
    assert all(line.endswith('is not of type "integer"') and len(line) < 400 for line in lines)


@pytest.mark.parametrize(
    ("fields", "times"), [({}, 2), ({"retries": 0}, 1), ({"retries": 5}, 6), ({"tools": ["look"], "retries": 0}, 2)]
)
def test_a_model_is_asked_as_often_as_the_task_says(fields, times):
    asking = Asking(version(**fields), [], ())
    asked = []
    for _ in range(times - 1):
        asked.append(asking.request(stream=False).configured)
        with pytest.raises(Misfit):
            asking.output(Said("no"))
    asked.append(asking.request(stream=False).configured)
    with pytest.raises(Unfit):
        asking.output(Said("no"))
    assert ["response_format" in each for each in asked] == [not fields.get("tools"), *[True] * (times - 1)]


def test_weights_are_shares():
    versions = Versions(version(version="a", weight=1), version(version="b", weight=0), version(version="c", weight=3))
    drawn = [versions.drawn(n / 8).number for n in range(8)]
    assert drawn == ["a", "a", *["c"] * 6]
    assert versions.named("b").number == "b"
    with pytest.raises(NotFound, match="there are: a, b, c"):
        versions.named("d")
    with pytest.raises(NotFound, match="name a version"):
        Versions(version(weight=0)).drawn(0.5)


def test_versions_belong_to_tenants():
    versions = Versions(version(version="a", tenants=["red"]), version(version="b"))
    assert [each.number for each in versions.of("red").all] == ["a", "b"]
    assert versions.of("blue").drawn(0.0).number == "b"
    assert not Versions(version(tenants=["red"])).of("blue")
