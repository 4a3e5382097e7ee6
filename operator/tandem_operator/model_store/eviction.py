"""Models that nobody wants any more leave the store."""

import logging
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tandem_operator.api.source import HuggingFace
from tandem_operator.model_store import manifest
from tandem_operator.model_store.lock import Lock
from tandem_operator.model_store.place import LOCK, MODELS, is_kept

logger = logging.getLogger(__name__)

_ABANDONED: Final = 24 * 3600.0
"""Seconds after which nobody resumes what is incomplete."""


@dataclass(frozen=True)
class Held:
    """A model in a store."""

    folder: Path
    complete: bool
    size: int
    """Bytes."""
    used: float
    """When it was last asked for, or written to; in seconds since 1970."""
    kept: bool
    """Whether it must stay."""


def doomed(models: Iterable[Held], now: float, bound: int) -> list[Held]:
    """Return what is to go, in this order: what was abandoned, then complete models until the rest is within a bound.

    Those go first that nobody has asked for the longest.
    """
    there = sorted(models, key=lambda model: model.used)
    going = [model for model in there if not model.kept and not model.complete and now - model.used > _ABANDONED]
    size = sum(model.size for model in there) - sum(model.size for model in going)
    for model in there:
        if size > bound and model.complete and not model.kept:
            going.append(model)
            size -= model.size
    return going


def make_room(store: Path, kept: Sequence[HuggingFace], lacking: int) -> int:
    """Remove what is to go until so many bytes more are free; return the bytes that are, 0 where it would not do."""
    models = _models(store, kept)
    going = doomed(models, time.time(), max(0, sum(model.size for model in models) - lacking))
    return _removed(going) if sum(model.size for model in going) >= lacking else 0


def evict(store: Path, kept: Sequence[HuggingFace], bound: int) -> int:
    """Remove from a store what is to go, but for what somebody works on; return the bytes that are free again."""
    return _removed(doomed(_models(store, kept), time.time(), bound))


def _removed(going: Iterable[Held]) -> int:
    freed = 0
    for model in going:
        lock = Lock(model.folder)
        if not lock.acquire():
            logger.info("%s stays: somebody works on it", model.folder)
            continue
        try:
            (model.folder / manifest.NAME).unlink(missing_ok=True)  # first, so that half of a model is none
            shutil.rmtree(model.folder)
        finally:
            lock.release()
        logger.info("%s is removed: %s bytes", model.folder, f"{model.size:,}")
        freed += model.size
    return freed


def _models(store: Path, kept: Sequence[HuggingFace]) -> list[Held]:
    folders = [path for path in (store / MODELS).glob("*/*") if path.is_dir() and LOCK not in path.name]
    return [_held(path, kept) for path in folders]


def _held(path: Path, kept: Sequence[HuggingFace]) -> Held:
    found = [each.lstat() for each in path.rglob("*") if not each.is_dir()]
    size = sum(each.st_size for each in found)
    complete = manifest.read(path) is not None
    changed = [(path / manifest.NAME).stat().st_mtime] if complete else [each.st_mtime for each in found]
    return Held(path, complete, size, max(changed, default=path.stat().st_mtime), is_kept(path, kept))
