"""Whether a candidate is worse than the engine that serves, by what orchestrators counted of both."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tandem_operator.api.outcomes import Outcome
from tandem_operator.api.rollout import Thresholds

_LEAST_SHARE: Final = 0.01
"""An engine that never fails would allow its candidate no failure at all."""


class Figures(NamedTuple):
    """How requests to one engine ended."""

    requests: int = 0
    failures: int = 0
    first_tokens: int = 0
    seconds: float = 0

    @property
    def failed(self) -> float:
        """Share of requests that failed."""
        return self.failures / self.requests

    @property
    def first_token(self) -> float:
        """Mean time to the first token in seconds."""
        return self.seconds / self.first_tokens


def known(before: Sequence[Outcome], now: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Return `before` with those that were not heard then: they count from when they are."""
    heard = {each.pod for each in before}
    return (*before, *(each for each in now if each.pod not in heard))


def counted(outcomes: Iterable[Outcome], upstream: str) -> Figures:
    """Return what was counted of an engine, all orchestrators together."""
    return _total(_figures(each) for each in outcomes if each.upstream == upstream)


def counted_since(before: Iterable[Outcome], now: Iterable[Outcome], upstream: str) -> Figures:
    """Return what was counted of an engine since `before`, by those that were heard then.

    An orchestrator that has counted fewer than before has started anew.
    """
    former = {each.pod: Figures() for each in before} | {
        each.pod: _figures(each) for each in before if each.upstream == upstream
    }
    later = [(former[each.pod], _figures(each)) for each in now if each.upstream == upstream and each.pod in former]
    return _total(new if new.requests < old.requests else _difference(old, new) for old, new in later)


def worse(candidate: Figures, stable: Figures, limits: Thresholds) -> str | None:
    """Return in which way a candidate is worse than it may be; None where it is not, or that cannot be told yet."""
    return _fails_more(candidate, stable, limits) or _is_slower(candidate, stable, limits)


def _fails_more(candidate: Figures, stable: Figures, limits: Thresholds) -> str | None:
    if min(candidate.requests, stable.requests) < limits.min_requests:
        return None
    if candidate.failed <= max(stable.failed, _LEAST_SHARE) * limits.error_ratio:
        return None
    return (
        f"{candidate.failures} of the candidate's {candidate.requests} requests failed, and {stable.failures} of "
        f"{stable.requests} of the engine that served before"
    )


def _is_slower(candidate: Figures, stable: Figures, limits: Thresholds) -> str | None:
    if min(candidate.first_tokens, stable.first_tokens) < limits.min_requests:
        return None
    if candidate.first_token <= stable.first_token * limits.time_to_first_token_ratio:
        return None
    return (
        f"the candidate's first tokens took {candidate.first_token:.2f} s on average, and {stable.first_token:.2f} s "
        "those of the engine that served before"
    )


def _figures(outcome: Outcome) -> Figures:
    return Figures(outcome.requests, outcome.failures, outcome.first_tokens, outcome.first_token_seconds)


def _difference(old: Figures, new: Figures) -> Figures:
    return Figures(
        new.requests - old.requests,
        new.failures - old.failures,
        new.first_tokens - old.first_tokens,
        new.seconds - old.seconds,
    )


def _total(figures: Iterable[Figures]) -> Figures:
    found = list(figures)
    return Figures(
        sum(each.requests for each in found),
        sum(each.failures for each in found),
        sum(each.first_tokens for each in found),
        sum(each.seconds for each in found),
    )
