"""What became of one request, and the figures of many; no I/O."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tandem_orchestrator.load_test.settings import Kind, Targets

PERCENTILES: Final = (50, 95, 99)


@dataclass(slots=True)
class Result:
    """One request. Times in seconds from the moment in which it should have started."""

    kind: Kind
    seconds: float = 0.0
    first_token_seconds: float | None = None
    tokens: int = 0
    tool_used: bool = False
    """Of a request of kind TOOLS: the tool ran, and its result reached the answer."""
    error: str | None = None


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the least of `values` that `percent` of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


class Figures:
    """The figures of a run that took `seconds`."""

    def __init__(self, results: Sequence[Result], seconds: float) -> None:
        good = [result for result in results if result.error is None]
        tools = [result for result in results if result.kind is Kind.TOOLS]
        self.requests = len(results)
        self.seconds = seconds
        self.latency = _percentiles([result.seconds for result in good])
        self.latency_by_kind = {
            kind.value: _percentiles(times)
            for kind in Kind
            if (times := [result.seconds for result in good if result.kind is kind])
        }
        self.first_token = _percentiles(
            [result.first_token_seconds for result in good if result.first_token_seconds is not None]
        )
        self.requests_per_second = len(good) / seconds
        self.tokens_per_second = sum(result.tokens for result in good) / seconds
        self.tool_success_percent = _percent(sum(result.tool_used for result in tools), len(tools))
        self.errors_percent = _percent(len(results) - len(good), len(results))
        self.errors = dict(Counter(result.error for result in results if result.error is not None).most_common())

    def failures(self, targets: Targets) -> list[str]:
        """Return a sentence for each target that was missed; none for a good run."""
        found = []
        if (p95 := self.latency.get("p95")) is None:
            found.append("no request was answered")
        elif p95 >= targets.p95_seconds:
            found.append(f"P95 latency is {p95:.3f} s, the target is under {targets.p95_seconds:g} s")
        success = self.tool_success_percent
        if success is not None and success <= targets.tool_success_percent:
            found.append(f"tool success is {success:.2f} %, the target is over {targets.tool_success_percent:g} %")
        errors = self.errors_percent
        if errors is not None and errors > targets.errors_percent:
            found.append(f"{errors:.2f} % of the requests failed, the target is at most {targets.errors_percent:g} %")
        return found

    def document(self, targets: Targets) -> dict[str, Any]:
        """Return all figures for JSON."""
        failures = self.failures(targets)
        return {"verdict": "fail" if failures else "pass", "failures": failures, **vars(self)}

    def text(self, targets: Targets) -> str:
        """Return all figures as text for people."""
        lines = [
            f"requests        {self.requests} in {self.seconds:.1f} s",
            f"answered        {self.requests_per_second:.1f} a second",
            f"latency         {_times(self.latency)}",
            *(f"  {kind:<13} {_times(times)}" for kind, times in self.latency_by_kind.items()),
            f"first token     {_times(self.first_token)}",
            f"tokens          {self.tokens_per_second:.1f} a second",
            f"tool success    {_shown(self.tool_success_percent)}",
            f"errors          {_shown(self.errors_percent)}",
            *(f"  {count} x {kind}" for kind, count in self.errors.items()),
        ]
        failures = self.failures(targets)
        return "\n".join([*lines, *(f"FAIL: {failure}" for failure in failures), *([] if failures else ["PASS"])])


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return P50, P95 and P99, or none of them without values."""
    return {f"p{percent}": percentile(values, percent) for percent in PERCENTILES} if values else {}


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _times(times: dict[str, float]) -> str:
    return "  ".join(f"{name.upper()} {value:.3f} s" for name, value in times.items()) or "none"


def _shown(percent: float | None) -> str:
    return "none asked for" if percent is None else f"{percent:.2f} %"
