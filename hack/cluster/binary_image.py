"""Images that hold one static program and nothing else, written without any tool for images."""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any, Final

from hack import cache

ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
NOBODY: Final = 65532


def binary_image(program: Path) -> tuple[str, Path]:
    """Return the reference of an image that runs `program`, and its docker-archive, made where it is missing."""
    content = hashlib.sha256(program.read_bytes()).hexdigest()[:12]
    reference = f"tandem.local/{program.name}:{content}"

    def write(archive: Path) -> None:
        with tarfile.open(archive, "w") as tar:
            layer = _tar_of({program.name: program.read_bytes()})
            configuration = json.dumps(_image_configuration(program.name, hashlib.sha256(layer).hexdigest())).encode()
            manifest = [{"Config": "config.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
            _add(tar, "layer.tar", layer)
            _add(tar, "config.json", configuration)
            _add(tar, "manifest.json", json.dumps(manifest).encode())

    return reference, cache.ensure(cache.image(program.name, content), write)


def _image_configuration(entry_point: str, layer_digest: str) -> dict[str, Any]:
    machine = platform.machine()
    return {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Entrypoint": [f"/{entry_point}"], "User": f"{NOBODY}:{NOBODY}"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
    }


def _tar_of(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            _add(tar, name, content)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a program that everybody may run and nobody may change, the same bytes whenever it is done."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    member.mode = 0o555
    tar.addfile(member, io.BytesIO(content))
