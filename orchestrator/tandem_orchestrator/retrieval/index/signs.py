"""The signs of vectors, a bit for each dimension, by which SQLite's search tells what may lie near.

Imported when it is first used: NumPy takes 25 MB.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WORD: Final = 8  # bytes that are compared at once

Blocks = Sequence[tuple[bytes, bytes]]
"""Ids (64-bit integers) and signs of vectors, in equal order."""


def packed(vectors: Sequence[bytes]) -> bytes:
    """Return the signs of vectors of 32-bit floats, each padded to a multiple of eight bytes."""
    return _signs(np.frombuffer(b"".join(vectors), np.float32).reshape(len(vectors), -1)).tobytes()


def packed_ids(ids: Sequence[int]) -> bytes:
    """Return ids as they stand in a block."""
    return np.array(ids, np.int64).tobytes()


def candidates(blocks: Blocks, query: bytes, most: int) -> list[int]:
    """Return the ids of those `most` vectors whose signs differ least from the query's."""
    ids = np.frombuffer(b"".join([ids for ids, _ in blocks]), np.int64)
    if len(ids) <= most:
        return _list(ids)
    asked = _signs(np.frombuffer(query, np.float32)[np.newaxis])[0].view(np.uint64)
    signs = np.frombuffer(b"".join([signs for _, signs in blocks]), np.uint64).reshape(len(ids), -1)
    differ = np.zeros(len(ids), np.uint16)
    for place, word in enumerate(asked):  # column by column: no array of all dimensions is made
        differ += np.bitwise_count(signs[:, place] ^ word)
    return _list(ids[np.argpartition(differ, most)[:most]])


def nearest(rows: Sequence[tuple[int, bytes]], query: bytes, most: int) -> list[tuple[int, float]]:
    """Return the ids of the `most` nearest vectors and their cosine similarity, the nearest first."""
    if not rows:
        return []
    ids = np.array([id_ for id_, _ in rows], np.int64)
    vectors = np.frombuffer(b"".join([vector for _, vector in rows]), np.float32).reshape(len(ids), -1)
    asked = np.frombuffer(query, np.float32)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(asked)
    similarity = np.divide(vectors @ asked, lengths, out=np.zeros(len(ids), np.float32), where=lengths > 0)
    best = np.lexsort((ids, -similarity))[:most]
    return list(zip(_list(ids[best]), similarity[best].tolist(), strict=True))


def _signs(vectors: NDArray[np.float32]) -> NDArray[np.uint8]:
    bits = np.packbits(vectors > 0, axis=1)
    return np.pad(bits, ((0, 0), (0, -bits.shape[1] % WORD)))


def _list(ids: NDArray[Any]) -> list[int]:
    found: list[int] = ids.tolist()
    return found
