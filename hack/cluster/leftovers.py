"""What Kubernetes writes to folders that cannot be chosen."""

from pathlib import Path
from typing import Final

FOLDERS: Final = ("usr/libexec/kubernetes", "var/lib/cni", "var/lib/kubelet", "var/log/containers")
FILES: Final = ("var/lib/cni/results/tandem-*", "var/lib/kubelet/device-plugins/kubelet*")
LOG_LINKS: Final = "var/log/containers/*"


def remove(folder: Path, root: Path = Path("/")) -> None:
    """Remove what belongs to the cluster in `folder`, and then those folders that are empty."""
    for file in (file for pattern in FILES for file in root.glob(pattern)):
        file.unlink()
    for link in root.glob(LOG_LINKS):
        if link.is_symlink() and link.readlink().is_relative_to(folder):
            link.unlink()
    for name in FOLDERS:
        remove_empty(root / name)


def remove_empty(folder: Path) -> None:
    """Remove the folders in `folder` that have nothing but empty folders in them, and itself where it is one."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for child in list(folder.iterdir()):
        remove_empty(child)
    if not any(folder.iterdir()):
        folder.rmdir()
