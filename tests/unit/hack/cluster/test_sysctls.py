from pathlib import Path

import pytest

from hack.cluster import sysctls


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*sysctls.NEEDED, "vm/overcommit_memory"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("0\n")
    return tmp_path


def values(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text().strip() for path in root.rglob("*") if path.is_file()}


def test_settings_are_as_before_after_two_starts_and_a_stop(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    memory, before = tmp_path_factory.mktemp("state") / "sysctls.json", values(root)
    sysctls.prepare(memory, root)
    assert {name: values(root)[name] for name in sysctls.NEEDED} == sysctls.NEEDED
    (root / "vm/overcommit_memory").write_text("1\n")
    sysctls.prepare(memory, root)
    sysctls.restore(memory, root)
    assert values(root) == before


def test_without_a_memory_nothing_is_restored(root: Path, tmp_path: Path) -> None:
    before = values(root)
    sysctls.restore(tmp_path / "missing.json", root)
    assert values(root) == before
