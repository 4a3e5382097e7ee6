"""`python3 -m hack.engine_flags ENGINE RELEASE…`: note which flags releases of an engine take, from their packages.

Writes `operator/tandem_operator/engines/releases/ENGINE.json`, by which the operator refuses `extraArgs` that the
image's release lacks. Releases come in their order, the oldest first; what is in the file already stays. A package's
source is read; no part of the engine is run.

vLLM's and SGLang's wheels have the release's number. llama.cpp's is its build, how many commits there were; it has no
package, but llama-cpp-python's sdist has its source, and a changelog that names the commit. Whoever knows that commit's
build (`llama-server --version` tells both) writes `llamacpp 11312=0.3.36`.
"""

import ast
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from hack.failure import Failure

FOLDER: Final = Path(__file__).parents[1] / "operator/tandem_operator/engines/releases"
SOURCES: Final = {
    "vllm": ("vllm/engine/arg_utils.py", "vllm/entrypoints/common/cli_args.py", "vllm/entrypoints/openai/cli_args.py"),
    "sglang": ("sglang/srt/server_args.py", "sglang/srt/arg_groups/fields/"),
}
"""Files, and folders, that define them. Those that a release has not are in none of its flags."""
FIELDS: Final = ("BaseFrontendArgs", "FrontendArgs")
"""Classes of vLLM whose fields are flags without a call that says so."""
LLAMACPP: Final = "llamacpp"
SDIST: Final = "llama-cpp-python"
ARGUMENTS: Final = "/vendor/llama.cpp/common/arg.cpp"
"""Where llama.cpp defines the flags of all its programs, each with those that take it: by default all of them."""
TAKING: Final = ("LLAMA_EXAMPLE_SERVER", "LLAMA_EXAMPLE_COMMON")


def flags(package: Path, engine: str) -> set[str]:
    """Return the flags that a wheel or an sdist defines."""
    if engine == LLAMACPP:
        with tarfile.open(package) as sources:
            (member,) = (each for each in sources if each.name.endswith(ARGUMENTS))
            return _of_server(sources.extractfile(member).read().decode())  # type: ignore[union-attr] # it is a file
    return _of_wheel(package, engine)


def _of_server(source: str) -> set[str]:
    found: set[str] = set()
    source = re.sub(r"^ *//.*", "", source, flags=re.MULTILINE)
    for option in re.split(r"^ *add_opt\(common_arg\(|^    return ctx_arg", source, flags=re.MULTILINE)[1:-1]:
        names, programs, without = (
            " ".join(re.findall(pattern, option))
            for pattern in (
                r"\A\s*\{[^}]*\}(?:\s*,\s*\{[^}]*\})?",
                r"\.set_examples\(\s*\{([^}]*)\}",
                r"\.set_excludes\(\s*\{([^}]*)\}",
            )
        )
        taken = any(program in (programs or TAKING[1]) for program in TAKING) and TAKING[0] not in without
        if taken and "has been removed" not in option:
            found.update(re.findall(r'"(--[^"]+)"', names))
    return found


def _of_wheel(wheel: Path, engine: str) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".py") and name.startswith(SOURCES[engine])]
        sources = [archive.read(name).decode() for name in names]
    return {flag for source in sources for node in ast.walk(ast.parse(source)) for flag in _defined(node)}


def _defined(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Call(func=ast.Attribute(attr="add_argument"), args=args):
            texts = [arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            yield from (text for text in texts if text.startswith("--"))
        case ast.ClassDef(name=name, body=body) if name in FIELDS:
            fields = [
                item.target.id for item in body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            ]
            yield from (_flag(field) for field in fields)
        case ast.AnnAssign(target=ast.Name(id=field), annotation=ast.Subscript(value=ast.Name(id="A"), slice=about)):
            yield from _annotated(field, about)


def _annotated(field: str, about: ast.expr) -> Iterator[str]:
    """Yield the flags of a field that SGLang annotates, unless it says that there are none."""
    calls = [node for node in ast.walk(about) if isinstance(node, ast.Call)]
    said = {word.arg: word.value for call in calls for word in call.keywords}
    if "no_cli" in said or field.startswith("_"):
        return
    yield ast.literal_eval(said["cli_name"]) if "cli_name" in said else _flag(field)
    yield from ast.literal_eval(said["aliases"]) if "aliases" in said else ()


def _flag(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def noted(table: list[dict[str, Any]], release: str, found: set[str]) -> list[dict[str, Any]]:
    """Return the table with a release, its newest, of which it tells what is new and what is gone since the one before.

    Raises `Failure` if it is there already.
    """
    if any(entry["release"] == release for entry in table):
        raise Failure(f"{release} is in the table already")
    before: set[str] = set()
    for entry in table:
        before = (before | set(entry["new"])) - set(entry["gone"])
    return [*table, {"release": release, "new": sorted(found - before), "gone": sorted(before - found)}]


def main(engine: str, releases: list[str]) -> None:
    """Download each release's package, for as long as it is read, and note its flags."""
    path = FOLDER / f"{engine}.json"
    table = json.loads(path.read_text()) if path.exists() else []
    for text in releases:
        release, _, version = text.partition("=")
        if engine == LLAMACPP and not version:
            raise Failure(f"which version of {SDIST} has build {release}? Write {release}=VERSION")
        with tempfile.TemporaryDirectory() as folder:
            if engine == LLAMACPP:
                wanted = [f"--no-binary={SDIST}", f"{SDIST}=={version}"]
            else:
                wanted = ["--only-binary=:all:", "--python-version=3.12", f"{engine}=={release}"]
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, *wanted]
            subprocess.run(command, check=True)
            (package,) = Path(folder).iterdir()
            table = noted(table, release, flags(package, engine))
    path.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in (*SOURCES, LLAMACPP):
        sys.exit(f"usage: python3 -m hack.engine_flags {{{','.join(SOURCES)}}} RELEASE… or {LLAMACPP} BUILD=VERSION…")
    try:
        main(sys.argv[1], sys.argv[2:])
    except Failure as failure:
        sys.exit(str(failure))
