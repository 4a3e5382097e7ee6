"""Ollama."""

from typing import Any, Final

from tandem_orchestrator.engines.types.engine_type import EngineType

_IMPLIED: Final = ":latest"


class Ollama(EngineType):
    """Ollama, which tells nothing of its load."""

    reasoning_field = "reasoning"
    full_words = ("maximum pending requests exceeded",)

    def models(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return them without the tag that is meant where none is named."""
        return [{**entry, "id": str(entry["id"]).removesuffix(_IMPLIED)} for entry in listed]
