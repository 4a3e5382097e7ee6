"""What a server-side tool is."""

from dataclasses import dataclass
from typing import Any, Protocol


class ToolError(Exception):
    """The tool cannot answer; the model is told why in these words."""


class Tool(Protocol):
    """A function that a model may call."""

    name: str
    description: str
    parameters: dict[str, Any]
    """JSON schema of the arguments, an object."""

    async def call(self, arguments: dict[str, Any]) -> str:
        """Return the result as the model reads it; `arguments` fit the schema. Raises `ToolError`."""


@dataclass(frozen=True, slots=True)
class Function:
    """What a model is told about a tool, for tools that are made of data."""

    name: str
    description: str
    parameters: dict[str, Any]
