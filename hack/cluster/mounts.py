"""Mounts that pods leave behind."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from hack.command import run

TABLE: Final = Path("/proc/self/mountinfo")


def unmount_below(folders: Iterable[Path]) -> None:
    """Unmount everything in those folders, the innermost first."""
    for point in points_below(TABLE.read_text(), folders):
        run(["umount", "--lazy", point])


def points_below(mountinfo: str, folders: Iterable[Path]) -> list[str]:
    """Return the mount points in those folders, last mounted first, from the text of /proc/self/mountinfo."""
    parents = [f"{folder}/" for folder in folders]
    points = [_unescape(line.split()[4]) for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if any(point.startswith(parent) for parent in parents)]


def _unescape(text: str) -> str:
    """Return a path without escapes: the kernel writes blanks in paths as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
