"""The two programs that build images: Docker where it answers, Buildah elsewhere."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from hack import cache, tools
from hack.cluster import mounts
from hack.command import run
from hack.images import host
from hack.images.recipes import Recipe

PROJECT: Final = Path(__file__).parents[2]
DOCKER_ENVIRONMENT: Final = {
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # kind cannot import an archive that has them
    "DOCKER_BUILDKIT": "1",  # Docker 20 does not yet use it by itself
}


@dataclass(frozen=True)
class Target:
    """What a build makes: the image `reference`, in a docker-archive."""

    reference: str
    archive: Path


class Builder(Protocol):
    """What builds images."""

    def build(self, recipe: Recipe, target: Target) -> None:
        """Build an image of the project's files and write its archive."""


class Docker:
    """The machine's Docker daemon."""

    def build(self, recipe: Recipe, target: Target) -> None:
        """Build as Builder says."""
        with tempfile.TemporaryDirectory() as folder:
            for command in docker_commands(recipe, target, host.secrets(Path(folder))):
                run(command, env=DOCKER_ENVIRONMENT, cwd=PROJECT)


class Buildah:
    """Buildah with storage of its own in the cache, so that it shares nothing with another on this machine."""

    def __init__(self) -> None:
        self.folder = cache.root() / "buildah"
        self.temporary = self.folder / "tmp"

    def build(self, recipe: Recipe, target: Target) -> None:
        """Build as Builder says."""
        with self.alone():
            self.run(*buildah_arguments(recipe, target, host.secrets(self.temporary)))

    def ensure_base(self, reference: str, make: Callable[[Path], None]) -> None:
        """Have an image that others start from; where it is missing, `make` writes its context into a folder.

        What started from another one goes.
        """
        with self.alone():
            if self.run("images", "--quiet", "--filter", f"reference={reference}").strip():
                return
            self.run("rmi", "--all", "--force")
            context = self.temporary / "base"
            context.mkdir()
            make(context)
            self.run("build", "--tag", reference, str(context))
            cache.remove(context)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one at work, without what an interrupted build left; leave nothing mounted."""
        with cache.lock("buildah"):
            self.temporary.mkdir(parents=True, exist_ok=True)
            mounts.unmount_below([self.folder])
            try:
                self.run("rm", "--all")
                for path in self.temporary.iterdir():
                    if not path.name.startswith("buildah-cache"):
                        cache.remove(path)
                yield
            finally:
                mounts.unmount_below([self.folder])

    def run(self, *arguments: str) -> str:
        """Run one of Buildah's commands and return what it prints."""
        folders = [f"--root={self.folder}/storage", f"--runroot={self.folder}/run", "--storage-driver=overlay"]
        # chroot: it needs nothing that containers of the machine may lack. TMPDIR: layers and cache mounts are there
        environment = {"BUILDAH_ISOLATION": "chroot", "TMPDIR": str(self.temporary)}
        return run([tools.executable("buildah"), *folders, *arguments], env=environment, cwd=PROJECT)


def docker_commands(recipe: Recipe, target: Target, secrets: Mapping[str, Path]) -> list[list[str]]:
    """Build with Docker, write the archive, and leave no tag behind (Docker keeps the layers)."""
    options = ["--tag", target.reference, *options_of(recipe, secrets)]
    return [
        ["docker", "build", *options, recipe.context],
        ["docker", "save", "--output", str(target.archive), target.reference],
        ["docker", "image", "rm", target.reference],
    ]


def buildah_arguments(recipe: Recipe, target: Target, secrets: Mapping[str, Path]) -> list[str]:
    """Build with Buildah straight into the archive: an image in the storage would be one more copy."""
    layers = ["--layers"] if recipe.layers else []
    tag = f"docker-archive:{target.archive}:{target.reference}"
    return ["build", *layers, "--tag", tag, *options_of(recipe, secrets), recipe.context]


def options_of(recipe: Recipe, secrets: Mapping[str, Path]) -> list[str]:
    """Return the options that both programs share."""
    arguments = {**recipe.arguments, **({"CA_BUNDLE": "/run/secrets/ca"} if "ca" in secrets else {})}
    return [
        *("--file", recipe.dockerfile),
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        *(f"--secret=id={name},src={path}" for name, path in secrets.items()),
    ]
