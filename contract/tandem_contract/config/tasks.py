"""`tasks`: what models are asked again and again, declared instead of programmed."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr, StringConstraints, model_validator

from tandem_contract import prompt_template
from tandem_contract.config.base import JsonObject, Name, Section
from tandem_contract.config.tools import ToolName


def _template(value: str) -> str:
    prompt_template.compiled(value)
    return value


PromptTemplate = Annotated[str, StringConstraints(min_length=1, max_length=65_536), AfterValidator(_template)]
TaskName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
TaskVersion = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?$", max_length=63)]
TaskPath = Annotated[str, StringConstraints(pattern=r"^(/[a-z0-9][-._a-z0-9]*)+$", max_length=128)]


class TaskRetrieval(Section):
    """Passages of vector stores that the prompt has as `documents`: a list of text, filename, file_id and score."""

    vector_store_ids: list[Name] = Field(min_length=1, max_length=4)
    """Vector stores of the tenant that asks."""
    query: PromptTemplate
    """What is searched for, e.g. `{{ message }}`."""
    max_results: int = Field(default=5, ge=1, le=50)
    """Most passages."""


class Task(Section):
    """One version of a task, at `POST /v1/tasks/NAME`."""

    name: TaskName
    """Name in its path."""
    version: TaskVersion = "1"
    """Versions of one name share its requests by weight, and a request may name the one that it wants."""
    weight: int = Field(default=1, ge=0, le=1000)
    """Share of the name's requests, among those of its versions; 0 for those alone that name this version."""
    path: TaskPath | None = None
    """Another path, such as /analyze-ticket, that takes the input and gives the output as they are."""
    description: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """What it does, for its entry in OpenAPI."""
    tenants: list[Name] | None = Field(default=None, min_length=1, max_length=1024)
    """Tenants that may use it; to the others it does not exist. Default: all."""
    model: Name | None = None
    """The model that is asked. Default: the first upstream's."""
    system_prompt: PromptTemplate | None = None
    """Template of the system message."""
    prompt: PromptTemplate
    """Template of the user's message, in Jinja; the input's properties are its variables."""
    input: JsonObject = Field(default={}, max_length=64)
    """JSON schema of the input, an object; other properties are refused unless additionalProperties is set."""
    output: JsonObject | None = Field(default=None, max_length=64)
    """JSON schema of the output."""
    output_class: Name | None = None
    """In the place of output, a pydantic model of an installed package: an entry point of the group `tandem.tasks`."""
    parameters: JsonObject = Field(default={}, max_length=64)
    """Further fields of the chat request, such as temperature and max_tokens."""
    retrieval: TaskRetrieval | None = None
    """Passages for the prompt."""
    tools: list[ToolName] = Field(default=[], max_length=64)
    """Server-side tools that the model may call."""
    retries: int = Field(default=1, ge=0, le=5)
    """How often a model whose output does not fit is told why, and asked again."""
    _place: str | None = PrivateAttr(None)

    def place(self, n: int) -> str:
        """Return where it stands, for errors: in a file of its own, or as the configuration's task `n`."""
        return self._place or f"tasks.{n}"

    def found(self, place: str) -> Self:
        """Return it, as what stands there."""
        self._place = place
        return self

    @model_validator(mode="after")
    def _one_output(self) -> Self:
        if (self.output is None) == (self.output_class is None):
            raise ValueError("set either output or outputClass")
        return self


class TaskFile(Section):
    """Tasks outside the configuration: YAML with `tasks` in it, read again when it changes."""

    file: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """Path of the file, or of a directory whose .yaml files all are read, outside Kubernetes."""
    config_map_name: (
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)] | None
    ) = None
    """ConfigMap in the namespace of the LLMService."""
    config_map_key: Annotated[str, StringConstraints(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] | None = None
    """Key in the ConfigMap. Default: all that end in .yaml."""
