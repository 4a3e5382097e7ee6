"""Certificates for servers of the tests."""

import subprocess
from pathlib import Path

from hack import tools


def self_signed(certificate: Path, key: Path, names: str) -> None:
    """Writes both files; `names` as in "DNS:localhost,IP:127.0.0.1"."""
    request = (tools.executable("openssl"), "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=test")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", key, "-out", certificate)
    subprocess.run([*request, *new_key, "-addext", f"subjectAltName={names}"], check=True, capture_output=True)
