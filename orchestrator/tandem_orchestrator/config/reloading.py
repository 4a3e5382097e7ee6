"""What of a new configuration counts at once, and what only after a restart."""

from typing import Final

from pydantic.alias_generators import to_snake
from tandem_contract.config import NEEDS_RESTART, OrchestratorConfig

_NEED_RESTART: Final = (*NEEDS_RESTART, "standalone.host", "standalone.port")
"""With those that an LLMService does not have, and no pod is replaced for."""


def taken_over(now: OrchestratorConfig, new: OrchestratorConfig) -> tuple[OrchestratorConfig, list[str]]:
    """Return `new`, with what cannot change in a running process as it is `now`, and the paths where they differ."""
    taken = new.model_copy(deep=True)
    kept = []
    for path in _NEED_RESTART:
        *above, name = map(to_snake, path.split("."))
        before, after = now, taken
        for part in above:
            before, after = getattr(before, part), getattr(after, part)
        if getattr(before, name) != getattr(after, name):
            setattr(after, name, getattr(before, name))
            kept.append(path)
    return taken, kept


def changed_sections(now: OrchestratorConfig, new: OrchestratorConfig) -> list[str]:
    """Return the names of the sections that differ."""
    return [
        field.alias or name
        for name, field in type(new).model_fields.items()
        if getattr(now, name) != getattr(new, name)
    ]
