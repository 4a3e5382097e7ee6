import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hack.failure import Failure
from hack.tools import debian


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Debian with root and no lists of packages; what would be run."""
    commands = []

    def run(argv: list[str], env: dict[str, str]) -> None:
        assert env == debian.ENVIRONMENT
        commands.append(" ".join(argv[4:]))

    monkeypatch.setattr(debian, "run", run)
    monkeypatch.setattr(debian, "LISTS", tmp_path)
    monkeypatch.setattr(debian, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}" if name == "apt-get" else None)
    return commands


def test_what_is_missing_is_installed_at_once_and_said(apt: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    debian.ensure(["runc", "host-local"])
    assert apt == ["update", "install --yes --no-install-recommends containernetworking-plugins runc"]
    assert "installing containernetworking-plugins, runc (apt)" in capsys.readouterr().err


def test_lists_that_are_there_are_not_fetched(apt: list[str], tmp_path: Path) -> None:
    (tmp_path / "debian_main_binary-amd64_Packages.lz4").touch()
    debian.ensure(["runc"])
    assert apt == ["install --yes --no-install-recommends runc"]


def test_lists_that_are_out_of_date_are_renewed(
    apt: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x_Packages").touch()
    failures = [Failure("404")]

    def run(argv: list[str], env: dict[str, str]) -> None:
        assert env
        apt.append(" ".join(argv[4:]))
        if "install" in argv and failures:
            raise failures.pop()

    monkeypatch.setattr(debian, "run", run)
    debian.install(["runc"])
    assert [command.split()[0] for command in apt] == ["install", "update", "install"]


def test_what_is_there_is_left_alone(apt: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/sbin/{name}")
    debian.ensure(["runc", "iptables"])
    assert apt == []


def test_without_root_the_message_is_a_command_to_type(apt: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Failure, match="sudo apt-get install runc"):
        debian.ensure(["runc"])


def test_elsewhere_the_message_names_the_packages(apt: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(Failure, match=r"runc .*package manager"):
        debian.ensure(["runc"])
    assert apt == []


def test_services_are_kept_from_starting_meanwhile(apt: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answers = []

    def run(argv: list[str], env: dict[str, str]) -> None:
        assert env
        apt.append(argv[4])
        answers.append(subprocess.run([debian.POLICY, "nginx", "start"], check=False).returncode)

    monkeypatch.setattr(debian, "run", run)
    debian.ensure(["nginx", "redis-server"])
    assert apt == ["update", "install"]
    assert answers == [101, 101]
    assert not debian.POLICY.exists()


def test_a_policy_that_is_there_is_left_alone(apt: list[str]) -> None:
    debian.POLICY.write_text("the machine's own")
    debian.ensure(["nginx"])
    assert debian.POLICY.read_text() == "the machine's own"


def test_companions_are_those_beside_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """iproute2 has a `bridge`, too, in a folder that comes first."""
    for name in ("system/bridge", "plugins/bridge", "plugins/host-local"):
        program = tmp_path / name
        program.parent.mkdir(exist_ok=True)
        program.touch(mode=0o755)
    monkeypatch.setattr(debian, "SYSTEM_PATH", str(tmp_path / "system"))
    monkeypatch.setattr(debian, "CNI_PLUGINS", str(tmp_path / "plugins"))
    assert (debian.folder("host-local") / "bridge").resolve() == tmp_path / "plugins" / "bridge"


@pytest.mark.parametrize("known", [True, False])
def test_a_root_is_made_with_debians_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, known: bool) -> None:
    done: list[str] = []
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "keys")
    monkeypatch.setattr(debian, "ensure", done.append)
    monkeypatch.setattr(debian, "install", done.append)
    monkeypatch.setattr(debian, "folder", lambda _: tmp_path)
    monkeypatch.setattr(debian, "run", lambda command, **_: done.append(command))
    if known:
        debian.KEYRING.touch()
    debian.make_root(["trixie"], tmp_path / "root")
    keys = [] if known else [["debian-archive-keyring"]]
    assert done == [["mmdebstrap"], *keys, [tmp_path / "mmdebstrap", "trixie", tmp_path / "root"]]
