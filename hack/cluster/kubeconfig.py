"""Files by which clients reach and trust the API server."""

import os
from base64 import b64encode
from pathlib import Path
from typing import Final

from hack.cluster.pki import Certificate

CONTEXT: Final = "tandem"


def write(path: Path, server: str, authority: Certificate, client: Certificate) -> Path:
    """Write a kubeconfig that needs no other file; only its owner can read it."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(_render(server, authority, client))
    draft.rename(path)
    return path


def _render(server: str, authority: Certificate, client: Certificate) -> str:
    return f"""\
apiVersion: v1
kind: Config
clusters:
- name: {CONTEXT}
  cluster:
    server: {server}
    certificate-authority-data: {_encoded(authority.path)}
users:
- name: {CONTEXT}
  user:
    client-certificate-data: {_encoded(client.path)}
    client-key-data: {_encoded(client.key)}
contexts:
- name: {CONTEXT}
  context:
    cluster: {CONTEXT}
    user: {CONTEXT}
current-context: {CONTEXT}
"""


def _encoded(path: Path) -> str:
    return b64encode(path.read_bytes()).decode()
