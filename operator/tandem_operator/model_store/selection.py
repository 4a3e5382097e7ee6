"""Which files of a repository an engine needs."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Final

_SMALL: Final = frozenset({".jinja", ".json", ".model", ".tiktoken", ".txt"})
"""Configuration, index, tokenizer, templates."""
_PICKLED: Final = frozenset({".bin", ".pt"})
_OF_TRAINING: Final = ("optimizer.*", "rng_state*", "scaler.*", "scheduler.*", "trainer_state.*", "training_args.*")
_OTHER_RUNTIMES: Final = frozenset({"coreml", "flax", "mlx", "onnx", "openvino", "original", "tf"})
"""Folders with the same model for others than our engines."""
_MODULE: Final = re.compile(r"\d+_\w+")
"""A part of a sentence-transformers model, which has weights of its own, such as 2_Dense."""
_WHOLE: Final = ("model.safetensors", "model.safetensors.index.json")


@dataclass(frozen=True)
class Selection:
    """What is asked for beside, or instead of, what an engine needs."""

    files: tuple[str, ...] = ()
    """These files alone, such as one GGUF file."""
    allowed: tuple[str, ...] = ()
    """Patterns of further files."""
    code: bool = False
    """Python files too, which an engine runs if it is told to trust them."""

    @property
    def mark(self) -> str:
        """Return 8 hex digits that tell this selection from others; empty for what an engine needs and no more."""
        if self == Selection():
            return ""
        words = ["file", *sorted(self.files), "allow", *sorted(self.allowed), f"code={self.code}"]
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:8]


def chosen(paths: Iterable[str], selection: Selection) -> list[str]:
    """Return those paths of a repository that are fetched, sorted; never one that leads out of a folder."""
    inside = sorted(path for path in paths if _is_inside(path))
    if selection.files:
        return [path for path in inside if path in selection.files]
    usual = [path for path in inside if _is_for_engines(path)]
    weights = _weights(usual)
    return [
        path
        for path in inside
        if path in weights
        or (path in usual and _is_small(path, code=selection.code))
        or any(fnmatchcase(path, pattern) for pattern in selection.allowed)
    ]


def _is_inside(path: str) -> bool:
    """Return whether a path stays in its folder; names that begin with a dot are no model's, and ours among them."""
    parts = PurePosixPath(path).parts
    return bool(parts) and "\0" not in path and not any(part.startswith((".", "/")) for part in parts)


def _is_for_engines(path: str) -> bool:
    *folders, name = PurePosixPath(path).parts
    return _OTHER_RUNTIMES.isdisjoint(folders) and not any(fnmatchcase(name, pattern) for pattern in _OF_TRAINING)


def _is_small(path: str, *, code: bool) -> bool:
    suffix = PurePosixPath(path).suffix
    return suffix in _SMALL or (code and suffix == ".py")


def _weights(paths: list[str]) -> set[str]:
    """Return the weights of each folder that has some of the model: safetensors, or what is there instead."""
    found: set[str] = set()
    for folder in {PurePosixPath(path).parent for path in paths}:
        if folder.parts and not _MODULE.fullmatch(str(folder)):
            continue
        here = [path for path in paths if PurePosixPath(path).parent == folder]
        safe = [path for path in here if path.endswith(".safetensors")]
        if not folder.parts and any(name in here for name in _WHOLE):
            # some repositories hold the same weights once more in Mistral's own format
            safe = [path for path in safe if not path.startswith("consolidated")]
        found.update(safe or [path for path in here if PurePosixPath(path).suffix in _PICKLED])
    return found
