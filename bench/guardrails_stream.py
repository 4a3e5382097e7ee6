"""What guardrails on streamed output cost: CPU a token of streams whose text is looked at, over streams without.

Also how many characters of prose wait, beside how many would if finders did not tell where a hit may be open.

    .venv/bin/python -m bench.guardrails_stream            about a minute on a quiet machine; prints only
    .venv/bin/python -m bench.guardrails_stream --quick    a quarter of that

Servers are arranged as for `make bench`. A missed bound is said, and fails nothing.
"""

import gc
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any, Final

from tandem_contract.config import Guardrail
from tandem_orchestrator.guardrails.finders import finder
from tandem_orchestrator.guardrails.found import Finder
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.guardrails.window import Window

from bench import command
from bench.guardrails import everyday
from bench.load import Load
from bench.measures import CLIENTS, SHORT_STREAM, STREAM_END, STREAMS, Effort, cpu_of_a_token
from bench.processes import Cores
from bench.report import Row, Series, at_most
from bench.targets import ROOT, Servers
from hack import path, progress

FULL: Final = Effort(rounds=7, seconds=2.0, fill=0, requests=0, leaving=0)
QUICK: Final = Effort(rounds=2, seconds=1.0, fill=0, requests=0, leaving=0)
BOUND: Final = 1.5
TOKEN: Final = 4
"""Characters of one, about."""
RAILS: Final[dict[str, list[dict[str, Any]]]] = {
    "words": [{"name": "words", "at": ["output"], "words": ["confidential", "internal use only"]}],
    "secrets and personal data": [
        {"name": "secrets", "at": ["output"], "secrets": {}},
        {"name": "personal-data", "at": ["output"], "personalData": {}, "action": "mask"},
    ],
    "injections": [{"name": "injections", "at": ["output"], "injections": {}}],
}
"""What is looked for -> guardrails."""


async def measure(effort: Effort) -> list[Row]:
    """Start everything, measure, end everything."""
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    found: dict[str, list[float]] = {what: [] for what in ("", *RAILS)}
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with AsyncExitStack() as stack:
            servers = Servers(Path(folder), cores, stack)
            await servers.engine()
            plain = await servers.tandem("plain", ROOT)
            guarded = [
                await servers.tandem(f"guarded-{n}", ROOT, guardrails=RAILS[what]) for n, what in enumerate(RAILS)
            ]
            targets = dict(zip(found, (plain, *guarded), strict=True))
            with progress.step("warm-up"):
                for server in targets.values():
                    await Load(server.address, SHORT_STREAM, STREAM_END).run(CLIENTS, seconds=effort.seconds)
            gc.freeze()
            for _ in range(effort.rounds):
                for what, server in targets.items():
                    found[what].append(await cpu_of_a_token(server, effort.seconds) * 1e6)
    rows = [_row(what, Series(found[what]), Series(found[""])) for what in RAILS]
    return [*rows, *(_held(what, [_rail(each) for each in settings]) for what, settings in RAILS.items())]


def _held(what: str, rails: Sequence[Rail]) -> Row:
    silent = [replace(rail, finder=_Silent(rail.finder)) for rail in rails if rail.finder is not None]
    figures = f"{_waiting(rails)}; without telling {_waiting(silent)}"
    return Row(f"characters of prose that wait to be looked at for {what}", figures)


def _waiting(rails: Sequence[Rail]) -> str:
    """Return how many characters wait after each token."""
    window = Window(rails, lambda *_: None)
    waiting = list[int]()
    for text in everyday():
        for at in range(0, len(text), TOKEN):
            window.take(text[at : at + TOKEN])
            waiting.append(window.length - window.clear)
    return f"{mean(waiting):.0f} on average, {max(waiting)} at most"


def _rail(settings: dict[str, Any]) -> Rail:
    guardrail = Guardrail.model_validate(settings)
    on = frozenset(guardrail.on)
    return Rail(guardrail.name, on, guardrail.action, guardrail.window, open=False, finder=finder(guardrail))


class _Silent:
    """A finder that does not tell where a hit may be open."""

    def __init__(self, looks: Finder) -> None:
        self.longest = looks.longest
        self.find = looks.find


def _row(what: str, guarded: Series, plain: Series) -> Row:
    figures = f"{guarded.median:.1f} µs, without {plain.median:.1f} µs"
    return at_most(
        f"{STREAMS} streams looked at for {what}: CPU a token, over those without", figures, guarded.over(plain), BOUND
    )


def main() -> int:
    """Print the rows."""
    return command.printed("bench.guardrails_stream", __doc__, lambda quick: measure(QUICK if quick else FULL))


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
