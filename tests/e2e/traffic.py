"""Load that users would make, through the Service, and what came of it."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.client_pod import client_pod
from tests.e2e.cluster import Namespace, eventually
from tests.e2e.keys import API_KEY

CLIENTS = Path(__file__).with_name("clients.py").read_text()
ENOUGH = 8
"""Answers: two rounds of all four clients."""
ANSWER_SECONDS = 120
_LINE = re.compile(r"(\w+) (ok|ended|failed) (.*)")


@dataclass(frozen=True)
class Figures:
    """What came of requests."""

    ok: Counter[str]
    """How many were answered as they should be, by kind."""
    ended: Sequence[str]
    """Streams that an error event ended, each with its kind and the event."""
    failed: Sequence[str]
    """All others, each with its kind and why."""

    @property
    def requests(self) -> int:
        """How many there were."""
        return self.ok.total() + len(self.ended) + len(self.failed)

    def row(self, cause: str) -> str:
        """A line for people; `cause` is what may have ended streams."""
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self.ok.items()))
        ended = f"{len(self.ended)} ({cause})" if self.ended else "0"
        return (
            f"requests {self.requests}, failed {len(self.failed)}, streams ended by an error event {ended}; "
            f"answered: {kinds}"
        )


Traffic = Callable[[str], Figures]
"""Ends the load that a test began with, prints its figures with what may have ended streams, and returns them."""


def figures(lines: Sequence[str]) -> Figures:
    """Count what clients.py says, of which every line has to be known."""
    found = [match.groups() if (match := _LINE.fullmatch(line)) else ("?", "failed", line) for line in lines]
    named = {how: [f"{kind}: {what}" for kind, outcome, what in found if outcome == how] for how in ("ended", "failed")}
    return Figures(Counter(kind for kind, outcome, _ in found if outcome == "ok"), **named)


@contextmanager
def load(service: Namespace, *search: str) -> Iterator[None]:
    """Clients that ask through the Service for as long as the block takes; `search` as in clients.py."""
    service.apply(client_pod("clients", CLIENTS, "demo", API_KEY, *search))
    try:
        service.kubectl("wait", "--for=condition=Ready", "pod/clients", "--timeout=60s")
        yield
    finally:
        service.kubectl("delete", "pod", "clients", "--grace-period=1")


def finish(service: Namespace) -> Figures:
    """Have the clients end what they have begun; what came of all their requests."""
    with suppress(AssertionError):  # the clients may be so quick to end that they take this command along
        service.kubectl("exec", "clients", "--", "touch", "/tmp/stop")
    service.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/clients", f"--timeout={ANSWER_SECONDS}s")
    return figures(results(service))


def results(service: Namespace) -> list[str]:
    """A line for each request that has ended."""
    return service.kubectl("logs", "clients").splitlines()


def wait_for_answers(service: Namespace, more: int = ENOUGH) -> None:
    """Wait until so many more requests have ended."""
    number = len(results(service)) + more
    eventually(lambda: len(results(service)) >= number, within=ANSWER_SECONDS, what=f"{number} requests have ended")
