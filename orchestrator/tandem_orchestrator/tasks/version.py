"""One version of a task, ready to be asked. Decides; does no I/O."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import jsonschema_rs
import orjson
from tandem_contract import json_schema, prompt_template
from tandem_contract.config import Task
from tandem_contract.config.task_checks import DOCUMENTS, closed
from tandem_contract.prompt_template import Prompt, PromptError

from tandem_orchestrator.config import ConfigError
from tandem_orchestrator.engines.structured import FIELD, instruction
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway import tool_use
from tandem_orchestrator.tasks.output import (
    ClassOutput,
    Output,
    OutputClassError,
    SchemaOutput,
    output_class,
    shortened,
)

INVALID_INPUT: Final = "invalid_input"


class Version:
    """A version under one configuration; `place` is where that has it, e.g. tasks.0. Raises `ConfigError`."""

    def __init__(self, task: Task, place: str) -> None:
        self.settings = task
        self.name = task.name
        self.number = task.version
        self.labels = (task.name, task.version)
        """Of metrics."""
        self.output = _output(task, place)
        self.input = closed(task.input)
        """JSON schema of the input."""
        self._validator = _validator(self.input, f"{place}.input")
        self._prompt = prompt_template.compiled(task.prompt)
        self._system = None if task.system_prompt is None else prompt_template.compiled(task.system_prompt)
        self._query = None if task.retrieval is None else prompt_template.compiled(task.retrieval.query)
        schema = {"name": task.name, "schema": self.output.schema, "strict": True}
        form = {"type": "json_schema", "json_schema": schema}
        self.constrained = {**task.parameters, FIELD: form, tool_use.FIELD: {"tools": False}}
        """Fields of a chat whose answer the engine makes fit."""
        self.free = {**task.parameters, tool_use.FIELD: {"tools": list(task.tools)}}
        """The same of one that may call tools: engines that constrain an answer let it be nothing else."""
        self._told = instruction(orjson.dumps(self.output.schema), None, tools=True) if task.tools else None

    def check(self, given: Any, param: str) -> None:
        """Raise `BadRequest` unless `given` is an input; `param` is where it stands, "" for the whole body."""
        try:
            if self._validator.is_valid(given):
                return
            error = next(self._validator.iter_errors(given))
        except ValueError as deep:  # what is nested deeper than the validator goes
            raise _invalid(str(deep), [], param) from None
        raise _invalid(error.message, json_schema.place(error), param)

    def query(self, given: Mapping[str, Any], param: str) -> str | None:
        """Return what to search for; None without retrieval. Raises `BadRequest`."""
        return None if self._query is None else _written(self._query, given, param)

    def messages(
        self, given: Mapping[str, Any], documents: Sequence[Mapping[str, Any]] | None, param: str
    ) -> list[dict[str, Any]]:
        """Return the messages of a chat about the input. Raises `BadRequest`."""
        values = given if documents is None else {**given, DOCUMENTS: documents}
        system = [] if self._system is None else [_written(self._system, values, param)]
        if self._told is not None:
            system.append(self._told)
        asked = {"role": "user", "content": _written(self._prompt, values, param)}
        return [{"role": "system", "content": "\n\n".join(system)}, asked] if system else [asked]


def _output(task: Task, place: str) -> Output:
    if task.output_class is not None:
        try:
            return ClassOutput(output_class(task.output_class))
        except OutputClassError as error:
            raise ConfigError([f"{place}.outputClass: {error}"]) from error
    try:
        return SchemaOutput(task.output or {})
    except json_schema.InvalidSchema as error:
        raise _wrong(error, f"{place}.output") from None


def _validator(schema: dict[str, Any], place: str) -> jsonschema_rs.Validator:
    try:
        return json_schema.validator(schema, linear=True)
    except json_schema.InvalidSchema as error:
        raise _wrong(error, place) from None


def _wrong(error: json_schema.InvalidSchema, place: str) -> ConfigError:
    return ConfigError([f"{place}.{error.path}".removesuffix(".") + f": no JSON schema: {error.message}"])


def _written(prompt: Prompt, values: Mapping[str, Any], param: str) -> str:
    try:
        return prompt.written(values)
    except PromptError as error:
        raise _invalid(f"no prompt can be made of it: {error}", [], param) from None


def _invalid(message: str, place: Sequence[str], param: str) -> BadRequest:
    where = ".".join(part for part in (param, *place) if part)
    told = f"`{where}`: {shortened(message)}" if where else shortened(message)
    return BadRequest(told, param=where or None, code=INVALID_INPUT)
