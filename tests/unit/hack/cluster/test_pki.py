import ssl
from pathlib import Path

import pytest

from hack import tools
from hack.cluster.pki import Authority, Certificate, signing_key
from hack.command import run


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", "test authority")


def text(certificate: Certificate) -> str:
    return run([tools.executable("openssl"), "x509", "-noout", "-text", "-in", str(certificate.path)])


def test_what_it_issues_is_verified_by_its_certificate(authority: Authority) -> None:
    for issued in (authority.server("web", ["IP:127.0.0.1", "DNS:localhost"]), authority.client("me", "me", "admins")):
        run(
            [
                tools.executable("openssl"),
                "verify",
                "-x509_strict",
                "-CAfile",
                str(authority.certificate.path),
                str(issued.path),
            ]
        )
        ssl.create_default_context().load_cert_chain(issued.path, issued.key)


def test_a_server_has_its_addresses_and_a_client_its_user_and_group(authority: Authority) -> None:
    server = text(authority.server("web", ["IP:127.0.0.1", "DNS:localhost"]))
    assert "IP Address:127.0.0.1, DNS:localhost" in server
    assert "TLS Web Server Authentication" in server
    assert "CA:FALSE" in server
    client = text(authority.client("me", "system:me", "admins"))
    assert "O = admins, CN = system:me" in client
    assert "TLS Web Client Authentication" in client
    assert "Server Authentication" not in client


def test_what_exists_is_kept_unless_it_is_asked_for_otherwise(authority: Authority, tmp_path: Path) -> None:
    first = authority.server("web", ["IP:127.0.0.1"]).path.read_bytes()
    again = Authority(tmp_path / "pki", "test authority")
    assert again.certificate.path.read_bytes() == authority.certificate.path.read_bytes()
    assert again.server("web", ["IP:127.0.0.1"]).path.read_bytes() == first
    assert again.server("web", ["IP:127.0.0.2"]).path.read_bytes() != first


def test_a_server_and_a_client_of_one_name_are_two(authority: Authority) -> None:
    assert authority.server("kubelet", ["IP:127.0.0.1"]) != authority.client("kubelet", "kubelet")


def test_keys_are_for_their_owner_alone(authority: Authority, tmp_path: Path) -> None:
    key = signing_key(tmp_path / "tokens.key")
    for private in (authority.certificate.key, authority.client("me", "me").key, key):
        assert private.stat().st_mode & 0o077 == 0
    content = key.read_bytes()
    assert signing_key(key).read_bytes() == content
