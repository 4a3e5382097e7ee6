import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from hack import cache
from hack.cluster.binary_image import binary_image


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "pause"
    path.write_bytes(b"\x7fELF")
    return path


def content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file
    return file.read()


def test_the_archive_holds_the_program_and_what_a_runtime_must_know(program: Path) -> None:
    reference, archive = binary_image(program)
    with tarfile.open(archive) as tar:
        files = {name: content(tar, name) for name in tar.getnames()}
    manifest = json.loads(files["manifest.json"])[0]
    assert manifest["RepoTags"] == [reference]
    configuration = json.loads(files[manifest["Config"]])
    layer = files[manifest["Layers"][0]]
    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert configuration["config"]["Entrypoint"] == ["/pause"]
    assert configuration["config"]["User"] == "65532:65532"
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert tar.getmember("pause").mode & 0o111 == 0o111
        assert content(tar, "pause") == b"\x7fELF"


def test_the_same_program_is_the_same_image_and_another_is_another(program: Path) -> None:
    reference, archive = binary_image(program)
    before = archive.read_bytes()
    cache.remove(archive)
    assert binary_image(program) == (reference, archive)
    assert archive.read_bytes() == before
    program.write_bytes(b"\x7fELF2")
    assert binary_image(program)[0] != reference
