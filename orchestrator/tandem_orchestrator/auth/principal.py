"""Whoever sends a request, as far as the orchestrator knows."""

from dataclasses import dataclass
from typing import Final

from tandem_contract.config import KeyLimits


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a key; `None` for `models` or `tools` allows all of them."""

    key_id: str
    """Names the key in logs, limits and the admin API; says nothing about its secret."""
    tenant: str
    limits: KeyLimits
    models: frozenset[str] | None = None
    tools: frozenset[str] | None = None
    reference: str | None = None
    """Of who shows a token, and is in no list of keys: by it `Keys.principal` finds them again, when it has expired."""


ANONYMOUS: Final = "anonymous"
