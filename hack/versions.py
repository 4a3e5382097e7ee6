"""The pinned versions of versions.toml."""

import tomllib
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("versions.toml")


def pinned(table: str) -> dict[str, Any]:
    """Return one table of versions.toml, for example `pinned("tools")["helm"]`."""
    section: dict[str, Any] = tomllib.loads(FILE.read_text())[table]
    return section
