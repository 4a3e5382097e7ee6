"""The PATH with which everything here runs: links to the programs that the project declares, and to no others.

A program that a machine only happens to have is missing everywhere, and not first on a new machine.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from hack import cache

SYSTEM: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
PREREQUISITES: Final = """
    git make
    docker docker-credential-desktop docker-credential-pass docker-credential-secretservice
""".split()  # noqa: SIM905
"""What CONTRIBUTING.md asks for, beside Python and bash. Docker is used where it is there, as it is set up there."""

ESSENTIAL: Final = """
    apt-get awk bash sh dpkg find xargs grep gzip gunzip hostname ldconfig locale perl sed tar cmp diff
    basename cat chgrp chmod chown chroot cp cut date dd df dirname du echo env expr false head id install ln ls md5sum
    mkdir mkfifo mknod mktemp mv nice nohup nproc numfmt od paste printenv printf pwd readlink realpath rm rmdir seq
    sha256sum sleep sort stat stty sync tail tee test timeout touch tr true truncate uname uniq wc whoami yes
    blkid findmnt flock getopt kill losetup lsblk mount mountpoint nsenter prlimit setpriv setsid taskset umount unshare
""".split()  # noqa: SIM905 # as lines of words it can be read
"""What every Debian has: of its essential packages, and of those that are required."""


def confine() -> None:
    """Let this process, and all that it starts, find none but those; `hack tools` has what else there is."""
    os.environ["PATH"] = str(links({**_found((*ESSENTIAL, *PREREQUISITES)), "python3": Path(sys.executable).resolve()}))


def add(folders: Iterable[Path]) -> None:
    """Let this process, and all that it starts, find what is in these folders, too."""
    os.environ["PATH"] = os.pathsep.join([*map(str, folders), os.environ["PATH"]])


def links(programs: Mapping[str, Path]) -> Path:
    """Return a folder of the cache that has a link for each of the programs, by its name, and nothing else."""

    def write(folder: Path) -> None:
        folder.mkdir(parents=True)
        for name, program in programs.items():
            (folder / name).symlink_to(program)

    content = "".join(f"{name} {program}\n" for name, program in sorted(programs.items()))
    return cache.ensure(cache.links() / hashlib.sha256(content.encode()).hexdigest()[:12], write)


def _found(names: Iterable[str]) -> dict[str, Path]:
    # resolved, since one confined process starts another: links to links would be links to themselves
    folders = os.pathsep.join([*SYSTEM, os.environ["PATH"]])
    found = {name: shutil.which(name, path=folders) for name in names}
    return {name: Path(program).resolve() for name, program in found.items() if program}
