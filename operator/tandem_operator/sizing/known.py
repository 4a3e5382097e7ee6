"""Shapes of well-known models, for where their files cannot be asked: known_models.json, one line a model.

They are what `read_shape` makes of each repository's config.json. Weights are the index's total_size, or the count of
parameters that the repository tells times two bytes; of MiniMax, Qwen3.5, Kimi and the fp8 Llama, the GiB that KAITO's
catalogue (August 2026) or llm-d's planner tell.
"""

import json
from functools import cache
from importlib.resources import files

from tandem_operator.sizing.shape import ModelShape


def known(repository: str) -> ModelShape | None:
    """Return the shape of a repository of the hub, such as `Qwen/Qwen3-32B`, or None where it is not known."""
    return _shapes().get(repository.lower())


@cache
def _shapes() -> dict[str, ModelShape]:
    entries = json.loads(files(__package__).joinpath("known_models.json").read_text())
    return {
        name.lower(): ModelShape.model_validate_json(json.dumps(entry["shape"]))
        for entry in entries
        for name in entry["names"]
    }
