"""How fast the orchestrator is, beside nginx and a naive proxy in the same run.

    make bench                    ten minutes at most; writes bench/RESULTS.md
    python3 -m bench --quick      under a minute; prints only
    python3 -m bench --against DIR
                                  this checkout's orchestrator over that of another, which has its .venv: about seven
                                  minutes, and up to two more to compile each; prints only

Close what else uses this machine first: two cores are few.
"""

import argparse
import asyncio
import gc
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from bench import comparison, embedding, machinery, measures, report
from bench.load import Failed
from bench.processes import Cores
from bench.targets import all_running, checkouts_running, nginx_version
from hack import path, progress
from hack.failure import Failure

MACHINERY: Final = "machinery"
EMBEDDING: Final = "embedding"
RESULTS: Final = Path(__file__).parent / "RESULTS.md"
ALL: Final = {
    measure.__name__: measure
    for measure in (
        measures.blocking,
        measures.latency,
        measures.streams,
        measures.tools,
        measures.endpoints,
        measures.abandoned,
        measures.endurance,
    )
}
ARRANGEMENT: Final = """\
- Orchestrator, nginx and the naive proxy each have one worker on the same core, one after the other, in turns; engine
  and load generator have the other core (or two others). On a machine with two cores these two share one. That is fair:
  it is the same for all targets, CPU time is counted for the target's processes alone, and together the two take some
  20 µs for a request ([engine.py](engine.py), [load.py](load.py)).
- The naive proxy only forwards: no key, no limits, no metrics, no log ([naive_proxy.py](naive_proxy.py)).
- The orchestrator runs as `tandem-orchestrator serve` with everything on: a key, every limit, usage, metrics, a log
  line a request. nginx only forwards: keep-alive on both sides, no buffering, no access log ([nginx.conf](nginx.conf)).
- Answers carry 64 bytes of text. CPU is user and system time of the server's processes. A ratio is that of a round;
  the table has the median of the rounds and their spread.
- nginx takes less CPU for a request the busier it is, since it then handles many at each wake-up. Clients that never
  pause make it do several times what the orchestrator can; so it is also measured at the orchestrator's own rate, and
  both at half of that.
- The bounds over nginx differ for that reason. At the same rate 2.9 to 3.1 was measured: the bound is 3.5. At half of
  it requests come one at a time, and the orchestrator, which does more at each wake-up, loses more than nginx by that:
  3.5 to 3.6, with rounds from 3.2 to 4.6, so the bound is 4. At nginx's own rate nginx alone handles many at a time,
  which says how nginx batches and not what a request costs here: 6.0 to 6.5, and the bound is 7. Each is 12 to 17 %
  above what was measured, so that a change which costs more is seen; `python3 -m bench --against DIR` shows less.
- The orchestrator is compiled, as it is in its image (`python3 -m hack compiled`).
- The rows on machinery set what is written by hand beside what would do in its place ([machinery.py](machinery.py),
  [pieces.py](pieces.py)): what saves nothing any more goes. docs/decisions has the reasons. The bounds are loose, since
  they ask whether it pays and not how well."""


async def run(cores: Cores, effort: measures.Effort, names: list[str]) -> list[report.Row]:
    """Start everything, measures, end everything."""
    rows: list[report.Row] = []
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with all_running(Path(folder), cores) as targets:
            with progress.step("warm-up"):
                await measures.warm_up(targets, effort)
            gc.freeze()
            for name in names:
                with progress.step(name):
                    rows += await ALL[name](targets, effort)
                for row in rows[-3:]:
                    progress.say(str(row))
    return rows


async def run_all(cores: Cores, names: list[str], *, quick: bool) -> list[report.Row]:
    """Measure what is named: machinery and embedding behind the rest, in processes of their own."""
    effort = measures.QUICK if quick else measures.FULL
    rows = await run(cores, effort, beside) if (beside := [name for name in names if name in ALL]) else []
    if MACHINERY in names:
        with progress.step(MACHINERY):
            rows += await machinery.measure(cores, machinery.QUICK if quick else machinery.FULL)
    if EMBEDDING in names:
        with progress.step(EMBEDDING):
            rows += await embedding.measure(cores)
    return rows


async def compare(cores: Cores, effort: measures.Effort, other: Path) -> list[report.Row]:
    """Return the same for this checkout and `other`."""
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        return await comparison.compare(lambda: checkouts_running(Path(folder), cores, other), effort)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few and short rounds; writes nothing")
    parser.add_argument("--against", type=Path, metavar="DIR", help="compare with another checkout; writes nothing")
    parser.add_argument(
        "measures", nargs="*", choices=[*ALL, MACHINERY, EMBEDDING, []], help="only these; writes nothing"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    begun = time.monotonic()
    try:
        cores = Cores.of_this_machine()
        os.sched_setaffinity(0, {cores.load})
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if options.against:
                effort = comparison.QUICK if options.quick else comparison.FULL
                rows = runner.run(compare(cores, effort, options.against.resolve()))
            else:
                rows = runner.run(run_all(cores, options.measures or [*ALL, MACHINERY, EMBEDDING], quick=options.quick))
    except (Failed, Failure) as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print("\n".join([report.HEADER, *map(str, rows)]))
    if not (options.quick or options.measures or options.against):
        RESULTS.write_text(report.document(rows, cores, ARRANGEMENT, nginx_version(), time.monotonic() - begun))
        print(f"\nwritten to {RESULTS}")
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
