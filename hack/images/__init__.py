"""The project's images: built from its own files, named by a hash of them, kept as docker-archives in the cache."""

import functools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from hack import cache, progress, versions
from hack.cluster import Cluster, checks
from hack.failure import Failure
from hack.images import base, content, registry
from hack.images.builders import PROJECT, Buildah, Builder, Docker, Target
from hack.images.recipes import NAMES, TEST_NAMES, Recipe, recipe

__all__ = ["NAMES", "TEST_NAMES", "being_built", "build", "load", "reference"]


def load(cluster: Cluster, names: Iterable[str]) -> None:
    """Build images where they are not cached, and give them to a cluster's nodes."""
    for name in names:
        archive = build(name)
        with progress.step(f"loading image {reference(name)}"):
            cluster.load(archive, reference(name))


@contextmanager
def being_built(names: Iterable[str]) -> Iterator[None]:
    """Have a process of its own build images meanwhile, which often waits for the network; it has ended at the end.

    What fails there says so; `load` builds it once more and raises the Failure.
    """
    command = [sys.executable, "-m", "hack", "build", *names]
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            yield
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            raise


@functools.cache
def reference(name: str) -> str:
    """Return `tandem.local/NAME:HASH`, the same as long as one process runs."""
    made = named(name)
    return f"tandem.local/{name}:{content.digest(PROJECT, (made.dockerfile, *made.inputs), asdict(made))}"


def build(name: str) -> Path:
    """Return the docker-archive of an image, built where it is missing; archives of older contents are deleted."""
    made, target = named(name), reference(name)
    archive = cache.image(name, target.rpartition(":")[2])

    def write(path: Path) -> None:
        checks.disk(path.parent, made.disk, f"building the image {name}")
        builder = builder_here()
        with progress.step(f"image {name}") as step:
            builder.build(made, Target(target, path))
            step.result = f"built, {path.stat().st_size / 2**20:.0f} MiB"

    cache.ensure(archive, write)
    for other in outdated(archive, name):
        cache.remove(other)
    return archive


def outdated(archive: Path, name: str) -> list[Path]:
    """Return the archives of the same image with another content."""
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{content.LENGTH}}}\.tar")
    return [path for path in archive.parent.iterdir() if path != archive and pattern.fullmatch(path.name)]


def named(name: str) -> Recipe:
    """Return the recipe for this machine. Failure where there is none of that name."""
    if name not in (*NAMES, *TEST_NAMES):
        raise Failure(f"no such image: {name}. There are: {', '.join(NAMES)}")
    public = registry.within_reach()
    return recipe(name, versions.pinned("images")["base"] if public else base.reference(), registry=public)


def builder_here() -> Builder:
    """Return what builds images on this machine; it has the image that they start from, or can pull it."""
    if registry.docker():
        return Docker()
    buildah = Buildah()
    if not registry.within_reach():
        base.ensure(buildah)
    return buildah
