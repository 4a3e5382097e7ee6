"""A worker process that asks for all it can get: `worker FILE NUMBER OF KIND`."""

import sys
from pathlib import Path
from time import monotonic, sleep, time

from tandem_contract.config import KeyLimits, RateLimits
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import LimitExceeded
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.worker_counters import SharedCounters

LIMITS = {"requests_per_minute": 10_000, "concurrent_requests": 10_000}
SECONDS = 0.5


def main(file: str, number: str, of: str, kind: str) -> None:
    limiter = Limiter(RateLimits(), SharedCounters(Path(file), int(number), int(of)))
    principal = Principal("a", "acme", KeyLimits.model_validate({kind: LIMITS[kind]}))
    print("ready", flush=True)  # noqa: T201
    sleep(max(0.0, float(sys.stdin.readline()) - time()))  # both begin at once
    end = monotonic() + SECONDS
    admitted = 0
    while monotonic() < end:
        try:
            limiter.admit(principal)
            admitted += 1
        except LimitExceeded:
            continue
    print(admitted, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
