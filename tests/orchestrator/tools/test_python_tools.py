"""Tools from installed packages, found by their entry points."""

import sys

import pytest
from tandem_orchestrator.config import ConfigError

MODULE = """
class Echo:
    name = "echo"
    description = "Says it again."
    parameters = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}

    def __init__(self, settings):
        self.times = settings["times"]

    async def call(self, arguments):
        return arguments["text"] * self.times


def nothing(settings):
    return object()
"""
POINTS = "[tandem.tools]\necho = tandem_echo:Echo\nnothing = tandem_echo:nothing\nlost = tandem_echo:Lost\n"


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
    (tmp_path / "tandem_echo.py").write_text(MODULE)
    package = tmp_path / "tandem_echo-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: tandem-echo\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("tandem_echo", None)


async def test_a_factory_makes_the_tool(tools):
    box = await tools(python=[{"name": "echo", "settings": {"times": 2}}])
    assert await box.call("echo", text="ab") == ("success", "abab")
    assert (await box.call("echo"))[0] == "invalid_arguments"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (
            "missing",
            "no installed package has an entry point 'missing' in tandem.tools; there are: echo, lost, nothing",
        ),
        ("echo", "tandem_echo:Echo failed: KeyError: 'times'"),
        ("nothing", "tandem_echo:nothing gives object, which has no name, description, parameters, call"),
        ("lost", "tandem_echo:Lost failed: AttributeError"),
    ],
)
async def test_what_cannot_be_used_is_an_error_of_the_configuration(tools, name, problem):
    with pytest.raises(ConfigError) as caught:
        await tools(python=[{"name": name}])
    assert caught.value.problems[0].startswith(f"tools.python.0: {problem}")


async def test_every_problem_is_told_at_once(tools):
    schema = {"type": "object", "properties": {"id": {"type": "nothing"}}}
    http = {"name": "order", "description": "x", "url": "https://shop.example/", "parameters": schema}
    with pytest.raises(ConfigError) as caught:
        await tools(
            python=[{"name": "missing"}],
            http=[http, {**http, "name": "calculate_math", "parameters": {}}],
            enabled=["calculate_math"],
            queryDatabase={"url": "mysql://host/db"},
        )
    database, order, math, python = caught.value.problems
    assert database == "tools.queryDatabase: the URL must begin with postgresql:// or sqlite:///"
    assert order.startswith('tools.http.0: the parameters of order are no JSON schema: properties.id.type: "nothing"')
    assert math == "tools.http.1: another tool is called calculate_math"
    assert python.startswith("tools.python.0: no installed package has an entry point 'missing'")
