"""A parser that does not fit the model is told within minutes, with the one that does."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.cluster import Json, Namespace, eventually
from tests.e2e.conftest import ENGINE_SECONDS, long_run

FOUND_SECONDS = 200  # the operator asks once a minute, and the engine answers three questions without a GPU
ANOTHER = "pythonic"


def test_the_demo_model_calls_tools(service: Namespace) -> None:
    message = found(service, "True", FOUND_SECONDS)["message"]
    assert message.endswith("came back right from 1 of 1 replicas of engine")


@long_run
def test_another_models_parser_is_told_with_the_right_one(service: Namespace) -> None:
    with parser(service, ANOTHER):
        condition = found(service, "False", ENGINE_SECONDS + FOUND_SECONDS)
        assert condition["reason"] == "ParserMismatch"
        assert "get_current_weather" in condition["message"]
        assert "set toolCalling.parser to hermes" in condition["message"]
        eventually(lambda: service.is_ready("demo"), within=FOUND_SECONDS, what="Ready does not depend on it")
    found(service, "True", ENGINE_SECONDS + FOUND_SECONDS)


@contextmanager
def parser(service: Namespace, name: str) -> Iterator[None]:
    """The demo's engine has another parser as long as the block takes, and then its own again."""
    before = (service.get("llmservice", "demo") or {})["spec"]["engine"].get("toolCalling")
    set_tool_calling(service, {"parser": name})
    try:
        yield
    finally:
        set_tool_calling(service, {"parser": (before or {}).get("parser")})


def set_tool_calling(service: Namespace, settings: Json) -> None:
    service.change("demo", {"engine": {"toolCalling": settings}})


def found(service: Namespace, status: str, within: float) -> Json:
    """The condition of the newest spec, once it has this status."""

    def probe() -> Json | None:
        condition = service.condition("demo", "ToolCallingVerified")
        return condition if condition.get("status") == status else None

    return eventually(probe, within=within, what=f"ToolCallingVerified is {status}")
