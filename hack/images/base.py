"""The image that ours start from where no registry is within reach: Debian with Python, made of packages."""

from pathlib import Path
from typing import Final

from hack import progress, versions
from hack.images import content
from hack.images.builders import PROJECT, Buildah
from hack.tools import debian

DOCKERFILE: Final = "hack/images/python/Dockerfile"
PACKAGES: Final = ("ca-certificates", "python3", "python3-venv")
UNUSED: Final = ("doc", "info", "locale", "man")


def reference() -> str:
    """Return the name of that image."""
    settings = {"packages": mmdebstrap_arguments()}
    return f"tandem.local/python:{content.digest(PROJECT, [DOCKERFILE], settings)}"


def ensure(buildah: Buildah) -> None:
    """Build it where Buildah does not have it."""
    buildah.ensure_base(reference(), write_context)


def write_context(folder: Path) -> None:
    """Write the Dockerfile and the root file system that it adds."""
    with progress.step("image python (of Debian packages: no container registry answers)"):
        debian.make_root(mmdebstrap_arguments(), folder / "root.tar")
        (folder / "Dockerfile").write_bytes((PROJECT / DOCKERFILE).read_bytes())


def mmdebstrap_arguments() -> list[str]:
    """Return what goes into the root file system."""
    return [
        "--variant=minbase",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in UNUSED),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        versions.pinned("images")["debian"],
    ]
