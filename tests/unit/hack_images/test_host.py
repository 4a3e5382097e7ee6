"""What a build learns of the machine's package index and certificates."""

import tomllib
from configparser import RawConfigParser
from pathlib import Path

import pytest

from hack.images import host

INDEX = "https://user:secret@packages.example/simple"


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that is set to nothing of its own."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(host, "PIP_FILES", (str(tmp_path / "pip.conf"),))
    bundle = tmp_path / "ca.crt"
    bundle.write_text("certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))


def test_the_public_index_needs_no_settings(tmp_path: Path) -> None:
    assert host.secrets(tmp_path) == {"ca": tmp_path / "ca.crt"}


def test_another_index_is_told_to_pip_and_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", INDEX)
    secrets = host.secrets(tmp_path)
    parser = RawConfigParser()
    parser.read(secrets["pip.conf"])
    assert parser["global"]["index-url"] == INDEX
    assert tomllib.loads(secrets["uv.toml"].read_text())["index"] == [{"url": INDEX, "default": True}]


def test_what_may_hold_a_password_is_for_its_owner_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", INDEX)
    assert {path.stat().st_mode & 0o077 for name, path in host.secrets(tmp_path).items() if name != "ca"} == {0}


@pytest.mark.parametrize(
    ("environment", "pip", "index"),
    [
        ({}, {}, None),
        ({}, {"index-url": "from-file"}, "from-file"),
        ({"PIP_INDEX_URL": "pip"}, {"index-url": "from-file"}, "pip"),
        ({"UV_INDEX_URL": "uv", "PIP_INDEX_URL": "pip"}, {}, "uv"),
        ({"UV_DEFAULT_INDEX": "new", "UV_INDEX_URL": "old"}, {}, "new"),
    ],
)
def test_the_nearest_setting_wins(environment: dict[str, str], pip: dict[str, str], index: str | None) -> None:
    assert host.package_index(environment, pip) == index


def test_reads_pip_configuration(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = https://packages.example/100%\ntimeout = 5\n")
    assert host.pip_settings()["index-url"] == "https://packages.example/100%"


def test_falls_back_to_the_usual_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone"))
    monkeypatch.setattr("ssl.get_default_verify_paths", lambda: type("Paths", (), {"cafile": None}))
    monkeypatch.setattr(host, "CERTIFICATES", str(tmp_path / "ca.crt"))
    assert host.ca_bundle() == tmp_path / "ca.crt"
    monkeypatch.setattr(host, "CERTIFICATES", str(tmp_path / "none"))
    assert host.ca_bundle() is None
