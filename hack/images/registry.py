"""Whether public images can be had."""

import functools
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from hack import cache, progress, versions
from hack.cluster.kind import docker_answers

SECONDS: Final = 5


@functools.cache
def docker() -> bool:
    """Return whether Docker answers; then it is what pulls, in the way that it is set up."""
    return docker_answers()


@functools.cache
def within_reach() -> bool:
    """Return whether public images can be pulled. Asked once for one cache, so that images keep their names."""
    if docker():
        return True
    image: str = versions.pinned("images")["base"]

    def ask(path: Path) -> None:
        with progress.step("looking for a container registry") as step:
            found = answers(image)
            step.result = "there is one" if found else "none answers: images are made of packages"
            path.write_text("yes" if found else "no")

    return cache.ensure(cache.root() / "images" / "registry", ask).read_text() == "yes"


def answers(image: str) -> bool:
    """Return whether the registry of an image answers as a registry does."""
    host = image.partition("/")[0].replace("docker.io", "registry-1.docker.io")
    try:
        with urllib.request.urlopen(f"https://{host}/v2/", timeout=SECONDS):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401  # it wants to know who asks, which a pull says
    except OSError:
        return False
