"""What each image is built from."""

from dataclasses import dataclass, field
from typing import Final

from hack import versions

TIERS: Final = ("operator", "orchestrator")
FULL: Final = "orchestrator-full"
NAMES: Final = (*TIERS, FULL, "engine-cpu", "demo-model")
"""What a cluster needs for the demo."""
TEST_NAMES: Final = ("postgres", "s3", "minilm", "llamacpp", "demo-gguf")
"""What its tests need besides."""
LOCKS: Final = {"s3": ("moto",), "llamacpp": ("llamacpp", "llamacpp-source"), "demo-gguf": ("llamacpp",)}
"""What pins the packages of those for which `dev.lock` does not."""


@dataclass(frozen=True)
class Recipe:
    """All that decides what is in an image. Paths are relative to the project's root."""

    dockerfile: str
    context: str
    inputs: tuple[str, ...]
    """The files and folders that its content hash covers, besides the Dockerfile."""
    arguments: dict[str, str] = field(default_factory=dict)
    """Build arguments."""
    disk: int = 2
    """GiB that the build takes."""
    layers: bool = False
    """Whether to keep what each step made, for the next build."""


def recipe(name: str, base: str, *, registry: bool) -> Recipe:
    """Return how to build an image on `base`; what `registry` allows is pulled rather than made of packages."""
    pinned = versions.pinned("images")
    on_base = {"BASE": base, "UV_VERSION": versions.pinned("tools")["uv"]}
    if name in (*TIERS, FULL):
        tier = name.removesuffix("-full")
        locks = tuple(f"requirements/{lock}.lock" for lock in dict.fromkeys((tier, name, "dev")))
        arguments = {**on_base, **({"DEPENDENCIES": "full"} if name == FULL else {})}
        return Recipe(f"{tier}/Dockerfile", ".", (tier, "contract", *locks), arguments, layers=True)
    folder = f"hack/images/{name}"
    if name in TEST_NAMES:
        locks = tuple(f"requirements/{lock}.lock" for lock in LOCKS.get(name, ("dev",)))
        model = ("hack/demo_model/model", "hack/demo_model/to_gguf.py") if name == "demo-gguf" else ()
        return Recipe(f"{folder}/Dockerfile", ".", (folder, *locks, *model), on_base)
    if name == "demo-model":
        return Recipe(f"{folder}/Dockerfile", "hack/demo_model/model", ("hack/demo_model/model",))
    if registry:
        return Recipe(f"{folder}/Dockerfile.public", folder, (), {"IMAGE": pinned["vllm-cpu"]}, disk=12)
    made_of = tuple(f"{folder}/{name}" for name in ("requirements.txt", "cuda_stand_ins.py", "vllm_metadata.py"))
    return Recipe(f"{folder}/Dockerfile", folder, made_of, on_base, disk=14)
