"""A package that is installed for one test, with entry points."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, module: str, text: str, points: str) -> Iterator[None]:
    (folder / f"{module}.py").write_text(text)
    package = folder / f"{module}-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(folder))
    yield
    sys.modules.pop(module, None)
