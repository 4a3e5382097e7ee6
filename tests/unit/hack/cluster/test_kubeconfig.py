import base64
from pathlib import Path

import yaml

from hack.cluster import kubeconfig
from hack.cluster.pki import Certificate


def test_it_stands_alone_verifies_the_server_and_is_private(tmp_path: Path) -> None:
    for name in ("ca.crt", "ca.key", "me.crt", "me.key"):
        (tmp_path / name).write_text(f"content of {name}")
    authority = Certificate(tmp_path / "ca.crt", tmp_path / "ca.key")
    client = Certificate(tmp_path / "me.crt", tmp_path / "me.key")
    for _ in range(2):
        path = kubeconfig.write(tmp_path / "kubeconfig", "https://127.0.0.1:1", authority, client)
    document = yaml.safe_load(path.read_text())
    cluster = document["clusters"][0]["cluster"]
    assert cluster["server"] == "https://127.0.0.1:1"
    assert base64.b64decode(cluster["certificate-authority-data"]) == b"content of ca.crt"
    assert "insecure-skip-tls-verify" not in cluster
    assert base64.b64decode(document["users"][0]["user"]["client-key-data"]) == b"content of me.key"
    assert path.stat().st_mode & 0o777 == 0o600
