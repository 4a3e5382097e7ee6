"""What a server-side tool is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.tools.passage import Passage


class ToolError(Exception):
    """The tool cannot answer; the model is told why in these words."""


class Found(NamedTuple):
    """The result of a search: text that others wrote, which the model may cite."""

    passages: Sequence[Passage]


class Tool(Protocol):
    """A function that a model may call."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments, an object."""

    async def call(self, arguments: dict[str, Any]) -> str | Found:
        """Return the result as the model reads it; `arguments` fit the schema. Raises `ToolError`."""


class Bound(Protocol):
    """A tool as one request declared it, with what the model has no say in."""

    async def ready(self) -> Tool:
        """Return it as it is offered, once it is known that it can be called. Raises `GatewayError`."""


class Binding(Protocol):
    """A tool that requests declare by a type of its own, and say more of than its name."""

    name: str
    """The type, and how the model knows the tool."""

    def bound(self, declared: dict[str, Any], path: str, principal: Principal) -> Bound:
        """Return what a request of `principal` declares under `path`. Raises `BadRequest`."""


@dataclass(frozen=True, slots=True)
class Function:
    """What a model is told about a tool, for tools that are made of data."""

    name: str
    description: str
    parameters: dict[str, Any]
