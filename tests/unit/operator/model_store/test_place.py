"""Where models lie: no two of them in one folder, none outside."""

import re
from pathlib import Path

import pytest
from tandem_operator.api.source import PVC_PATTERN, HuggingFace, parse
from tandem_operator.model_store.place import folder, is_kept
from tandem_operator.model_store.selection import Selection

STORE = Path("/store")


def place(uri: str, *files: str) -> Path:
    source = parse(uri)
    assert isinstance(source, HuggingFace)
    return folder(STORE, source, Selection(files))


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("hf://org/name", "models/org--name/main"),
        ("hf://org/name@v1.0", "models/org--name/v1.0"),
        ("hf://org/name@refs/pr/1", "models/org--name/refs@pr@1"),
    ],
)
def test_a_folder_tells_its_model(uri, expected) -> None:
    assert place(uri) == STORE / expected
    assert re.fullmatch(PVC_PATTERN, f"pvc://claim/{expected}")


def test_a_selection_has_a_folder_of_its_own() -> None:
    found = place("hf://org/name", "a.gguf")
    assert re.fullmatch(r"main@@[0-9a-f]{8}", found.name)
    assert re.fullmatch(PVC_PATTERN, f"pvc://claim/{found.relative_to(STORE)}")


def test_what_is_kept_is_kept_in_all_its_selections() -> None:
    kept = [HuggingFace("org/name", None), HuggingFace("org/other", "v1")]
    assert is_kept(place("hf://org/name@main"), kept)
    assert is_kept(place("hf://org/name", "a.gguf"), kept)
    assert is_kept(place("hf://org/other@v1"), kept)
    assert not is_kept(place("hf://org/other"), kept)
    assert not is_kept(place("hf://org/name@v1"), kept)
