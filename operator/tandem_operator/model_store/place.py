"""Where a model lies in a store: what the operator mounts and what the program fills are one function's answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tandem_operator.api.source import HuggingFace
from tandem_operator.model_store.selection import Selection

LATEST: Final = "main"
"""The revision of a source that names none."""
MODELS: Final = "models"
LOCK: Final = ".lock."
"""What follows a folder's name in those of its locks; Git admits no revision that ends with .lock."""
_MARK: Final = "@@"
"""What stands between a revision and a selection; Git admits no // in a revision, and @ stands for /."""


def folder(store: Path, source: HuggingFace, selection: Selection) -> Path:
    """Return a model's folder, such as STORE/models/org--name/main; a selection of other files has one of its own."""
    revision = (source.revision or LATEST).replace("/", "@")
    name = f"{revision}{_MARK}{selection.mark}" if selection.mark else revision
    return store / MODELS / source.repository.replace("/", "--") / name


def is_kept(found: Path, kept: Iterable[HuggingFace]) -> bool:
    """Return whether a model's folder belongs to one of these sources, whatever files of it were selected."""
    plain = found.with_name(found.name.split(_MARK)[0])
    return any(plain == folder(found.parents[2], source, Selection()) for source in kept)


@dataclass(frozen=True)
class Wish:
    """What is to be in a store."""

    source: HuggingFace
    store: Path
    selection: Selection
    verify: bool = False
    """Whether the bytes of a complete model are looked at again."""
    kept: tuple[HuggingFace, ...] | None = None
    """Models that stay where there is no room for this one; None where all do."""

    @property
    def folder(self) -> Path:
        """Return where it is to be."""
        return folder(self.store, self.source, self.selection)

    @property
    def uri(self) -> str:
        """Return the source as it is written."""
        revision = f"@{self.source.revision}" if self.source.revision else ""
        return f"hf://{self.source.repository}{revision}"
