"""A static embedding model: a vector for each token, of which a text's is the mean.

Reads the folders that model2vec and sentence-transformers' StaticEmbedding write: `tokenizer.json`, and
`model.safetensors` with `embeddings` (or `embedding.weight`) and, where the vocabulary was made smaller, `mapping` and
`weights`. model2vec itself is not used: it takes 25 MB and a fifth of a second more, cuts texts after 512 tokens, and
looks on a hub for a folder that is not there.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from safetensors import safe_open
from tokenizers import Tokenizer

from tandem_orchestrator.retrieval.embedding.vector import Vector

WEIGHTS: Final = "model.safetensors"
TOKENIZER: Final = "tokenizer.json"
NAMES: Final = ("embeddings", "embedding.weight")
PART: Final = 4096
"""Characters that are turned into tokens at once, a millisecond in which no other thread may run."""


class Unusable(Exception):
    """A folder does not hold a static embedding model; the message says why."""


class StaticModel:
    """Holds the whole model in memory. Raises `Unusable`."""

    def __init__(self, folder: Path, dimensions: int | None) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
            self._read(folder / WEIGHTS, dimensions)
            self.fingerprint = _fingerprint(folder)
        except Exception as error:  # noqa: BLE001 # which is all that tokenizers raises
            raise Unusable(f"{folder} holds no static embedding model: {error}") from None
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._unknown = self._tokenizer.token_to_id(getattr(self._tokenizer.model, "unk_token", None) or "")
        self.dimension: int = self._vectors.shape[1]
        """Numbers of a vector."""

    def vector(self, text: str) -> Vector | None:
        """Return the vector of a text; None where it has no word that the model knows."""
        total = np.zeros(self.dimension, np.float32)
        for part in _parts(text):
            ids = [
                token for token in self._tokenizer.encode(part, add_special_tokens=False).ids if token != self._unknown
            ]
            rows = self._vectors[ids if self._mapping is None else self._mapping[ids]]
            if self._weights is not None:
                rows = rows * self._weights[ids][:, None]
            total += rows.sum(axis=0, dtype=np.float32)
        length = np.linalg.norm(total)
        return (total / length).astype("<f4").tobytes() if length > 0 else None

    def _read(self, file: Path, dimensions: int | None) -> None:
        with safe_open(file, framework="numpy") as tensors:
            there = set(tensors.keys())
            found = {name: tensors.get_tensor(name) for name in (*NAMES, "mapping", "weights") if name in there}
        name = next((name for name in NAMES if name in found), None)
        if name is None:
            raise Unusable(f"{file.name} has no {' or '.join(NAMES)}")
        vectors = found[name]
        self._mapping, self._weights = found.get("mapping"), found.get("weights")
        if dimensions is not None and dimensions > vectors.shape[1]:
            raise Unusable(f"it makes vectors of {vectors.shape[1]} numbers, and retrieval.embedding.dimensions more")
        if self._tokenizer.get_vocab_size() > len(vectors if self._mapping is None else self._mapping):
            raise Unusable("its tokenizer knows more tokens than it has vectors")
        if not np.isfinite(vectors).all():
            raise Unusable("its weights have numbers that are none, or infinite")
        self._vectors = np.ascontiguousarray(vectors[:, :dimensions])


def _parts(text: str) -> Iterator[str]:
    """Cut a text, between words where it has any, which changes none of its tokens."""
    start = 0
    while len(text) - start > PART:
        end = text.rfind(" ", start + 1, start + PART)
        end = start + PART if end < 0 else end
        yield text[start:end]
        start = end
    yield text[start:]


def _fingerprint(folder: Path) -> str:
    digest = sha256()
    for name in (WEIGHTS, TOKENIZER):
        with (folder / name).open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()
