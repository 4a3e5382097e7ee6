import orjson
import pytest
from tandem_contract.config import KeyLimits, Tools
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import BadRequest, Forbidden
from tandem_orchestrator.gateway.request import checked, json_object
from tandem_orchestrator.gateway.tool_use import tool_use
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.toolbox import Toolbox

MATH, CLOCK = "calculate_math", "tell_time"
NO_HEADERS: list[tuple[bytes, bytes]] = []


class Clock:
    name, description, parameters = CLOCK, "Tells the time.", {"type": "object"}

    async def call(self, _):
        return "noon"


def asked(attach="declared", headers=NO_HEADERS, tools=None, declares=(), tools_sent=None, **fields):
    """The use and the request that an engine would get."""
    declared = tools_sent or [{"type": "function", "function": {"name": name}} for name in declares]
    body = {"model": "m", "messages": [{"role": "user"}], **({"tools": declared} if declared else {}), **fields}
    request = checked(ENDPOINTS[CHAT], json_object(orjson.dumps(body), 128))
    principal = Principal("key", "tenant", KeyLimits(), tools=tools)
    toolbox = Toolbox([Calculator(), Clock()], Tools(attach=attach))
    return tool_use(request, headers, principal, toolbox), orjson.loads(request.body())


def names(**fields):
    use, _ = asked(**fields)
    return set(use.names) if use else set()


def test_a_declared_tool_runs_here():
    use, _ = asked(declares=[MATH, "book_table"])
    assert (use.names, use.declarations, use.events) == ({MATH}, [], False)
    assert asked(declares=["book_table"])[0] is None
    assert asked()[0] is None


def test_always_adds_what_the_client_does_not_declare():
    use, _ = asked("always", declares=[MATH])
    assert use.names == {MATH, CLOCK}
    (added,) = orjson.loads(orjson.dumps(use.declarations))
    function = {"name": CLOCK, "description": Clock.description, "parameters": Clock.parameters}
    assert added == {"type": "function", "function": function}


OWN = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}


def own(name, parameters):
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def test_a_tool_of_the_clients_own_under_the_servers_name_is_the_clients():
    assert asked(tools_sent=[own(MATH, OWN)])[0] is None
    use, _ = asked(tools_sent=[own(MATH, OWN), own(CLOCK, {})])
    assert (use.names, use.declarations, use.replaced) == ({CLOCK}, [], frozenset())
    assert names(tools_sent=[own(MATH, Calculator.parameters)]) == {MATH}


@pytest.mark.parametrize("fields", [{"attach": "always"}, {"tandem": {"tools": True}}, {"tandem": {"tools": [MATH]}}])
def test_attached_tools_take_the_place_of_the_clients(fields):
    use, _ = asked(tools_sent=[own(MATH, OWN)], **fields)
    assert MATH in use.names
    assert use.replaced == {MATH}
    assert MATH in [tool["function"]["name"] for tool in orjson.loads(orjson.dumps(use.declarations))]


@pytest.mark.parametrize("tool", [7, None, {}, {"function": 7}, {"function": {"name": [MATH]}}, {"function": {}}])
def test_entries_of_another_shape_are_the_engines_to_judge(tool):
    assert names(tools_sent=[tool, own(MATH, {})]) == {MATH}


@pytest.mark.parametrize("attach", ["declared", "always"])
def test_a_request_switches_them_off_or_chooses(attach):
    assert names(attach=attach, declares=[MATH], tandem={"tools": False}) == set()
    assert names(attach=attach, declares=[MATH], headers=[(b"x-tandem-tools", b"Off")]) == set()
    assert names(attach=attach, declares=[MATH], tandem={"tools": [CLOCK]}) == {CLOCK}
    assert names(attach=attach, tandem={"tools": True}) == {MATH, CLOCK}
    assert names(attach=attach, declares=[MATH], tool_choice="none") == set()


@pytest.mark.parametrize("wish", [{"tools": False}, {"tools": [MATH]}, {"events": True}, {}])
def test_engines_never_see_the_field(wish):
    _, sent = asked(tandem=wish, declares=[MATH])
    assert "tandem" not in sent


def test_events():
    assert asked(tandem={"events": True}, declares=[MATH])[0].events


def test_a_key_may_be_limited_to_tools():
    assert names(declares=[MATH, CLOCK], tools=frozenset({CLOCK})) == {CLOCK}
    assert names(attach="always", tools=frozenset({CLOCK})) == {CLOCK}
    assert names(attach="always", tools=frozenset()) == set()
    with pytest.raises(Forbidden, match=MATH):
        asked(tandem={"tools": [MATH]}, tools=frozenset({CLOCK}))


def test_several_answers_get_no_tools_that_they_did_not_ask_for():
    assert names(attach="always", n=2) == set()
    assert names(attach="always", n=2, declares=[MATH]) == {MATH}  # which the conversation refuses, as ever


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"tandem": True}, "must be an object"),
        ({"tandem": {"tool": False}}, "it knows no tool"),
        ({"tandem": {"tools": "off"}}, "true, false or a list"),
        ({"tandem": {"tools": [1]}}, "true, false or a list"),
        ({"tandem": {"events": "yes"}}, "`tandem.events`"),
        ({"tandem": {"tools": ["calculate"]}}, "there is no tool calculate here; there are: calculate_math, tell_time"),
        ({"declares": [MATH], "headers": [(b"x-tandem-tools", b"on")]}, "can only be off"),
    ],
)
def test_wishes_of_another_shape(fields, complaint):
    with pytest.raises(BadRequest, match=complaint):
        asked(**fields)
