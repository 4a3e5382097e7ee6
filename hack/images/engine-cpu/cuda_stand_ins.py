# ruff: noqa: INP001
"""Put stand-ins where the CUDA libraries are to be that torch links to and that are not installed.

`import torch` needs every library of the CUDA build to be there, and every function that it links to. Without a GPU
none of them is ever called, so a few kilobytes do for several gigabytes: each stand-in has all the missing functions,
and each function prints its name and aborts. Run at build time: `cuda_stand_ins.py SITE_PACKAGES` (needs
binutils, x86-64).
"""

import subprocess
import sys
from pathlib import Path
from typing import Final

SYSTEM: Final = (Path("/lib/x86_64-linux-gnu"), Path("/lib64"))
HEADER: Final = '.section .note.GNU-stack,"",@progbits\n.text'
STAND_IN: Final = """
    .globl {name}
    .type {name}, @function
{name}:
    lea 1f(%rip), %rdi
    sub $8, %rsp
    call perror@plt
    call abort@plt
1:  .asciz "tandem: called without a GPU: {name}"
"""


def main(packages: Path) -> None:
    """Write the stand-ins next to torch's own libraries; end with an error where more than functions is missing."""
    torch = packages / "torch" / "lib"
    libraries, absent = linked("libtorch_python.so", [torch, *packages.glob("nvidia/*/lib"), *SYSTEM])
    missing = union(libraries, "--undefined-only") - union(libraries, "--defined-only")
    # Python's own are in the interpreter, which is no library
    functions = sorted(name for name in missing if not name.startswith(("Py", "_Py")))
    if not functions or any(name.startswith("_Z") for name in functions):
        sys.exit(f"expected functions of C libraries to be missing, found {functions}")
    source = HEADER + "".join(STAND_IN.format(name=name) for name in functions)
    assembled = torch / "stand-in.o"
    subprocess.run(["as", "-o", assembled, "-"], input=source, text=True, check=True)
    for name in absent:
        subprocess.run(["ld", "-shared", "-soname", name, "-o", torch / name, assembled], check=True)
    assembled.unlink()
    print(f"{len(functions)} functions in {', '.join(absent)}")


def linked(first: str, folders: list[Path]) -> tuple[list[Path], list[str]]:
    """Return what the library `first` links to, directly or not: those in `folders`, and the names of the others."""
    found: dict[str, Path] = {}
    absent: set[str] = set()
    names = [first]
    while names:
        name = names.pop()
        if name in found or name in absent:
            continue
        if path := next((folder / name for folder in folders if (folder / name).exists()), None):
            found[name] = path
            names += [line.split("[")[1].rstrip("]") for line in lines("readelf", "-d", path) if "(NEEDED)" in line]
        else:
            absent.add(name)
    return list(found.values()), sorted(absent)


def union(libraries: list[Path], which: str) -> set[str]:
    """Return the dynamic symbols, without weak ones that may stay undefined, of all those libraries."""
    symbols = set()
    for library in libraries:
        for line in lines("nm", "-D", "--format=posix", "--without-symbol-versions", which, library):
            name, kind = line.split()[:2]
            if kind not in ("w", "v"):
                symbols.add(name)
    return symbols


def lines(*command: str | Path) -> list[str]:
    """Return what a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
