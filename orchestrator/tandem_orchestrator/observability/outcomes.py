"""What became of the requests that engines were sent, counted since the process began."""

from collections.abc import Iterable
from typing import Any, Final

from tandem_contract import metrics as names

from tandem_orchestrator.observability.prometheus import samples

_FIGURES: Final = {
    "requests": f"{names.ENGINE_SECONDS}_count",
    "failures": names.UPSTREAM_FAILURES,
    "first_tokens": f"{names.UPSTREAM_FIRST_TOKEN}_count",
    "first_token_seconds": f"{names.UPSTREAM_FIRST_TOKEN}_sum",
}
_WHOLE: Final = frozenset(_FIGURES) - {"first_token_seconds"}


def outcomes(upstreams: Iterable[str]) -> list[dict[str, Any]]:
    """Return for each upstream how many requests it was sent, of how many it is to blame that they failed, how many
    streams began and in how many seconds altogether; of all workers. Takes milliseconds where there are several.
    """
    found = samples("upstream", *_FIGURES.values())
    return [
        {
            "upstream": upstream,
            **{figure: _number(figure, found.get((sample, upstream), 0.0)) for figure, sample in _FIGURES.items()},
        }
        for upstream in upstreams
    ]


def _number(figure: str, value: float) -> float:
    return int(value) if figure in _WHOLE else value
