"""Made-up chunks and questions: vectors as an embedding model's lie, words as often as a language has them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tandem_orchestrator.retrieval.index.chunks import Embedded

DIMENSIONS: Final = 384
CENTRES: Final = 1_000
NOISE: Final = 0.8  # beside a centre of length 1
CHUNKS_A_FILE: Final = 50
WORDS: Final = 50_000
WORDS_A_CHUNK: Final = 80
ASKED: Final = (6, 11)  # words of a question, and one more than the most

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Passages:
    """Chunks, and what is asked about them; `words` holds numbers of words."""

    vectors: Floats
    questions: Floats
    words: NDArray[np.int64]
    asked: Sequence[str]

    @classmethod
    def like_embeddings(cls, chunks: int, questions: int) -> "Passages":
        """Return unequal clusters in a space that is not as wide in all directions; questions lie near a chunk."""
        random = np.random.default_rng(1)
        widths = np.arange(1, DIMENSIONS + 1) ** -0.25
        turn, _ = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS)))
        shape = ((widths / np.linalg.norm(widths))[:, np.newaxis] * turn).astype(np.float32)
        often = np.arange(1, CENTRES + 1) ** -0.5
        centres = _unit(_noise(random, CENTRES) @ shape)[random.choice(CENTRES, chunks, p=often / often.sum())]
        vectors = _unit(centres + NOISE * _noise(random, chunks) @ shape)
        near = vectors[random.integers(0, chunks, questions)]
        return cls(vectors, _unit(near + NOISE / 2 * _noise(random, questions) @ shape), *_words(chunks, questions))

    @classmethod
    def isotropic(cls, chunks: int, questions: int) -> "Passages":
        """Return the worst case: nothing lies near anything."""
        random = np.random.default_rng(2)
        return cls(_unit(_noise(random, chunks)), _unit(_noise(random, questions)), *_words(chunks, questions))

    def chunks(self, first: int, end: int) -> Iterator[Embedded]:
        for n in range(first, end):
            text = " ".join(f"w{word}" for word in self.words[n])
            yield Embedded(file_of(n), n % CHUNKS_A_FILE, text, None, "", WORDS_A_CHUNK, self.vectors[n].tolist())

    def share_of_files(self, share: float) -> list[str]:
        """Return that share of all files, by chance."""
        files = len(self.vectors) // CHUNKS_A_FILE
        found = np.random.default_rng(3).choice(files, max(1, round(files * share)), replace=False)
        return [file_of(int(file) * CHUNKS_A_FILE) for file in found]

    def nearest(self, question: int, most: int, files: Sequence[str] | None) -> set[tuple[str, int]]:
        """Return which chunks of some files are nearest, by comparing all."""
        similarity = self.vectors @ self.questions[question]
        if files is not None:
            wanted = set(files)
            of_files = [file_of(first) in wanted for first in range(0, len(similarity), CHUNKS_A_FILE)]
            similarity[~np.repeat(of_files, CHUNKS_A_FILE)[: len(similarity)]] = -2
        best = np.argpartition(-similarity, most)[:most]
        return {(file_of(int(n)), int(n) % CHUNKS_A_FILE) for n in best}


def file_of(chunk: int) -> str:
    return f"file-{chunk // CHUNKS_A_FILE:024x}"


def _noise(random: np.random.Generator, rows: int) -> Floats:
    return random.standard_normal((rows, DIMENSIONS), dtype=np.float32)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _words(chunks: int, questions: int) -> tuple[NDArray[np.int64], list[str]]:
    """Return words by Zipf's law, and questions of words of one chunk each: common ones and rare ones."""
    random = np.random.default_rng(4)
    often = np.cumsum(1 / np.arange(1, WORDS + 1))
    words = np.searchsorted(often / often[-1], random.random((chunks, WORDS_A_CHUNK)))
    asked = [words[random.integers(chunks), : random.integers(*ASKED)] for _ in range(questions)]
    return words, [" ".join(f"w{word}" for word in each) for each in asked]
