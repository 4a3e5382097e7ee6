"""Files that are made from others: `hack/generate` writes them, `hack/verify` finds stale ones. Runs in .venv."""

import difflib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

from hack.command import run
from hack.generation import engines, install, reference, rights, sizing, values
from hack.generation.marked import with_table

ROOT: Final = Path(__file__).parents[2]
CRD: Final = "crds/tandem.dev_llmservices.yaml"
OPERATOR_CHART: Final = "charts/tandem-operator"
SERVICE_CHART: Final = "charts/llmservice"
ENGINES: Final = "docs/engines.md"
SIZING: Final = "docs/sizing.md"


def generated(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield path and content of every generated file; later ones are made from earlier ones, read from `folder`."""
    text = run([Path(sys.executable).with_name("tandem-operator"), "crd"])
    crd = yaml.load(text, yaml.CSafeLoader)
    readme, guide = f"{OPERATOR_CHART}/README.md", "docs/install.md"
    yield CRD, text
    yield f"{OPERATOR_CHART}/files/{Path(CRD).name}", text
    yield f"{SERVICE_CHART}/values.schema.json", values.llmservice_schema(crd)
    described = values.rows(folder / OPERATOR_CHART)
    yield readme, with_table((folder / readme).read_text(), "values", ("value", "default", "what it does"), described)
    manifest = install.manifest(folder / OPERATOR_CHART)
    yield "manifests/install.yaml", manifest
    granted = rights.rows(manifest)
    yield guide, with_table((folder / guide).read_text(), "rights", ("on", "may", "why"), granted)
    yield "docs/llmservice.md", reference.page(crd)
    page = with_table((folder / ENGINES).read_text(), "capabilities", engines.HEADER, engines.rows())
    yield ENGINES, with_table(page, "images", ("engine", "accelerator", "image"), engines.images())
    page = with_table((folder / SIZING).read_text(), "measured", sizing.MEASURED_HEADER, sizing.measured())
    yield SIZING, with_table(page, "sizes", sizing.HEADER, sizing.rows())


def write(folder: Path) -> list[str]:
    """Write every generated file below `folder`, which holds charts and docs; return their paths relative to it."""
    written = []
    for path, content in generated(folder):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
        written.append(path)
    return written


def stale() -> list[str]:
    """Return one diff for each generated file that is not up to date."""
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name)
        for source in ("charts", "docs"):
            shutil.copytree(ROOT / source, fresh / source)
        return [diff for path in write(fresh) if (diff := difference(path, fresh))]


def difference(path: str, fresh: Path) -> str:
    """Return a unified diff from the file in the project to the one below `fresh`; empty where they agree."""
    present = ROOT / path
    before = present.read_text().splitlines(keepends=True) if present.exists() else []
    after = (fresh / path).read_text().splitlines(keepends=True)
    return "".join(difflib.unified_diff(before, after, f"{path} (in the project)", f"{path} (generated)"))
