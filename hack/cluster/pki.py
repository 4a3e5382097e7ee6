"""Certificates and keys of a cluster, made with openssl."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hack import tools
from hack.command import run

DAYS: Final = 3650
NEW_KEY: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc")


@dataclass(frozen=True)
class Certificate:
    """A certificate and its private key, both in PEM."""

    path: Path
    key: Path


class Authority:
    """A certificate authority whose files are in `folder`. What exists is kept, unless it is asked for otherwise."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.certificate = Certificate(folder / "ca.crt", folder / "ca.key")
        extensions = ["basicConstraints = critical, CA:TRUE", "keyUsage = critical, keyCertSign, cRLSign"]
        self._make(self.certificate, _request([f"CN = {name}"], extensions), signer=[])

    def server(self, name: str, addresses: Sequence[str]) -> Certificate:
        """Return a certificate for a server that is reached at `addresses`, each "DNS:…" or "IP:…"."""
        return self._issue(
            f"{name}-server", [f"CN = {name}"], "serverAuth", [f"subjectAltName = {', '.join(addresses)}"]
        )

    def client(self, name: str, user: str, group: str = "") -> Certificate:
        """Return a certificate by which Kubernetes knows its bearer as `user`, who is in `group`."""
        return self._issue(f"{name}-client", [*([f"O = {group}"] if group else []), f"CN = {user}"], "clientAuth", [])

    def _issue(self, name: str, subject: Sequence[str], usage: str, more: Sequence[str]) -> Certificate:
        issued = Certificate(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        extensions = [
            "basicConstraints = critical, CA:FALSE",
            "keyUsage = critical, digitalSignature",
            f"extendedKeyUsage = {usage}",
            *more,
        ]
        self._make(
            issued, _request(subject, extensions), ["-CA", self.certificate.path, "-CAkey", self.certificate.key]
        )
        return issued

    def _make(self, made: Certificate, configuration: str, signer: list[str | Path]) -> None:
        kept = made.path.with_suffix(".conf")
        if kept.exists() and kept.read_text() == configuration:
            return
        draft = kept.with_suffix(".draft")
        draft.write_text(configuration)
        files: list[str | Path] = ["-config", draft, "-keyout", made.key, "-out", made.path, *signer]
        run([tools.executable("openssl"), "req", "-x509", "-days", str(DAYS), *NEW_KEY, *files])
        draft.rename(kept)


def _request(subject: Sequence[str], extensions: Sequence[str]) -> str:
    """Return the configuration from which openssl makes one certificate."""
    lines = ["[req]", "prompt = no", "distinguished_name = subject", "x509_extensions = extensions"]
    return "\n".join([*lines, "[subject]", *subject, "[extensions]", *extensions, ""])


def signing_key(path: Path) -> Path:
    """Return a private key to sign service account tokens with."""
    if not path.exists():
        draft = path.with_suffix(".draft")
        options = ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", draft)
        run([tools.executable("openssl"), "genpkey", *options])
        draft.rename(path)
    return path
