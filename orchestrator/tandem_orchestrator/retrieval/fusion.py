"""Makes one ranking of several, by reciprocal rank fusion (Cormack, Clarke, Büttcher 2009). Decides; does no I/O."""

from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple

K: Final = 60
"""How little the first places of a ranking differ; the paper's."""


class Ranking[Key: Hashable](NamedTuple):
    """What was found in one way, the best first, and how much it counts."""

    weight: float
    found: Sequence[tuple[Key, float]]
    """Each with how much of this weight it gets, 1.0 at most: not all that is first answers as well."""


def fused[Key: Hashable](rankings: Sequence[Ranking[Key]], most: int) -> list[tuple[Key, float]]:
    """Return the best `most`, each with its score: 1.0 for what is first in all rankings whose weight is above 0.

    (Where it counts in full in them.) Of equal ones, the one that an earlier ranking has further ahead comes first.
    """
    counted = [ranking for ranking in rankings if ranking.weight > 0]
    scores: dict[Key, float] = {}
    for weight, found in counted:
        for rank, (key, share) in enumerate(found, start=1):
            scores[key] = scores.get(key, 0.0) + weight * share / (K + rank)
    best = sum(weight for weight, _ in counted) / (K + 1)
    ordered = sorted(scores.items(), key=lambda item: -item[1])  # stable
    return [(key, min(1.0, score / best)) for key, score in ordered[:most]]
