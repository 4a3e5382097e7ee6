"""A Kubernetes to try Tandem on: kind where there is Docker, otherwise Kubernetes as processes of this machine."""

import os
import platform
from pathlib import Path
from typing import Final, Protocol

from hack.cluster.status import Part
from hack.failure import Failure

PROVIDERS: Final = ("kind", "local")


class Cluster(Protocol):
    """One cluster, which may or may not be up."""

    name: str
    kubeconfig: Path

    def running(self) -> bool:
        """Return whether it was started and not taken down since."""

    def up(self) -> None:
        """Start it, or what of it does not run; return when it is ready. Seconds where nothing is to be done."""

    def down(self) -> None:
        """End it and remove what it left, except for what makes the next start quick."""

    def load(self, archive: Path, reference: str) -> None:
        """Give its nodes the image in a docker-archive; nothing happens where they have it."""

    def status(self) -> list[Part]:
        """Return how each part of it is."""


def provider(name: str = "auto") -> Cluster:
    """Return the cluster of a provider ("kind", "local"); "auto" is the one that is up, else what can run here.

    Failure where the machine can run neither, or where a cluster of the other provider is up.
    """
    from hack.cluster.kind import docker_answers  # noqa: PLC0415 # it builds on this package

    up = running()
    if name == "auto":
        return up or clusters()[choice(docker=docker_answers(), system=platform.system(), user=os.geteuid())]
    if up and up.name != name:
        raise Failure(f"a cluster of the provider {up.name} is up. Take it down first: python3 -m hack down")
    return clusters()[name]


def running() -> Cluster | None:
    """Return the cluster that is up, if one is."""
    return next((cluster for cluster in clusters().values() if cluster.running()), None)


def clusters() -> dict[str, Cluster]:
    """Return the clusters of all providers, by the provider's name."""
    from hack.cluster.kind import Kind  # noqa: PLC0415 # they build on this package
    from hack.cluster.local import Local  # noqa: PLC0415

    return {"kind": Kind(), "local": Local()}


def choice(*, docker: bool, system: str, user: int) -> str:
    """Return the provider for a machine, where `docker` says whether Docker answers and `user` is 0 for root."""
    if docker:
        return "kind"
    if system == "Linux" and user == 0:
        return "local"
    raise Failure(
        "no cluster can run here: Docker does not answer (docker info), and without it Kubernetes needs root on Linux. "
        "Start Docker, or run this as root"
    )
