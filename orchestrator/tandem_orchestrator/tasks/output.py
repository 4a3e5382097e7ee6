"""What a task gives out: how it is read from what a model said, by a JSON schema or a pydantic model."""

from importlib.metadata import entry_points
from itertools import islice
from typing import Any, Final, Protocol

import orjson
from pydantic import BaseModel, PydanticUserError, ValidationError
from tandem_contract import json_schema, output_shape

GROUP: Final = "tandem.tasks"
MOST_CHARACTERS: Final = 1_048_576  # of what a model says: more would hold up the loop
MOST_PROBLEMS: Final = 5  # that a model is told of
LONGEST_PROBLEM: Final = 300  # characters: a problem shows the value that has it


class Misfit(Exception):
    """A text that is no output of the task; the message says why, in words for the model."""


class OutputClassError(Exception):
    """A class that cannot be used; the message says why."""


class Output(Protocol):
    """Reads outputs."""

    schema: dict[str, Any]
    """JSON schema that all outputs fit."""

    def read(self, text: str) -> Any:
        """Return the output that `text` is, for orjson to write. Raises `Misfit`."""


class SchemaOutput:
    """Outputs by a JSON schema. Raises `InvalidSchema`."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        self._validator = json_schema.validator(schema, linear=True)

    def read(self, text: str) -> Any:
        """See `Output`."""
        _check_length(text)
        try:
            document = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise Misfit(f"it is not JSON: {error}") from None
        try:
            if self._validator.is_valid(document):
                return document
            found = [
                json_schema.problem(error) for error in islice(self._validator.iter_errors(document), MOST_PROBLEMS)
            ]
        except ValueError as error:  # what is nested deeper than the validator goes
            raise Misfit(str(error)) from None
        raise Misfit("\n".join(map(shortened, found)))


class ClassOutput:
    """Outputs by a pydantic model, whose validators have their say."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.schema = model.model_json_schema()
        self._model = model

    def read(self, text: str) -> Any:
        """See `Output`."""
        _check_length(text)
        try:
            made = self._model.model_validate_json(text)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            raise Misfit(
                "\n".join(shortened(_sentence(each["loc"], each["msg"])) for each in found[:MOST_PROBLEMS])
            ) from None
        return orjson.Fragment(made.model_dump_json(by_alias=True))


def output_class(name: str) -> type[BaseModel]:
    """Return the pydantic model of an entry point. Raises `OutputClassError`."""
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found:
        there = ", ".join(sorted(point.name for point in entry_points(group=GROUP))) or "none"
        raise OutputClassError(f"no installed package has an entry point {name!r} in {GROUP} (there are: {there})")
    try:
        model = found[0].load()
    except (Exception, SystemExit) as error:
        raise OutputClassError(f"{found[0].value} failed: {type(error).__name__}: {error}") from error
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise OutputClassError(f"{found[0].value} is no pydantic model")
    try:
        output_shape.check_schema(model.model_json_schema())
    except (PydanticUserError, output_shape.ShapeError) as error:
        raise OutputClassError(f"{found[0].value} has no schema for an engine: {error}") from error
    return model


def shortened(text: str) -> str:
    """Return a problem as it may be told: what is wrong with a value stands behind it."""
    half = LONGEST_PROBLEM // 2
    return text if len(text) <= LONGEST_PROBLEM else f"{text[:half]}…{text[-half:]}"


def _check_length(text: str) -> None:
    if len(text) > MOST_CHARACTERS:
        raise Misfit(f"it has more than {MOST_CHARACTERS} characters")


def _sentence(place: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, place))}: {message}" if place else message
