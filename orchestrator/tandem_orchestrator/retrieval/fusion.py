"""Makes one order of several, by reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009). Does no I/O."""

from collections.abc import Sequence
from typing import Final

K: Final = 60


def fused[Key](orders: Sequence[tuple[float, Sequence[Key]]]) -> list[tuple[Key, float]]:
    """Return what is in any of the weighted orders, the best first, with scores up to 1 for the first of them all."""
    total = sum(weight for weight, _ in orders)
    scores: dict[Key, float] = {}
    for weight, order in orders:
        for rank, key in enumerate(order):
            scores[key] = scores.get(key, 0.0) + weight * (K + 1) / (K + 1 + rank)
    return sorted(((key, score / total) for key, score in scores.items()), key=lambda found: -found[1])
