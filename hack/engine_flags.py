"""`python3 -m hack.engine_flags ENGINE RELEASE…`: note which flags releases of vLLM or SGLang take, from their wheels.

Writes `operator/tandem_operator/engines/releases/ENGINE.json`, by which the operator refuses `extraArgs` that the
image's release lacks. Releases come in their order, the oldest first; what is in the file already stays. Nothing of a
wheel is run: its source is read.
"""

import ast
import json
import subprocess
import sys
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


def flags(wheel: Path, engine: str) -> set[str]:
    """Return the flags that a wheel defines."""
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
    """Download each release's wheel, for as long as it is read, and note its flags."""
    path = FOLDER / f"{engine}.json"
    table = json.loads(path.read_text()) if path.exists() else []
    for release in releases:
        with tempfile.TemporaryDirectory() as folder:
            wanted = ["--no-deps", "--only-binary=:all:", "--python-version=3.12", f"{engine}=={release}"]
            subprocess.run([sys.executable, "-m", "pip", "download", "-q", "-d", folder, *wanted], check=True)
            (wheel,) = Path(folder).glob("*.whl")
            table = noted(table, release, flags(wheel, engine))
    path.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in SOURCES:
        sys.exit(f"usage: python3 -m hack.engine_flags {{{','.join(SOURCES)}}} RELEASE…")
    try:
        main(sys.argv[1], sys.argv[2:])
    except Failure as failure:
        sys.exit(str(failure))
