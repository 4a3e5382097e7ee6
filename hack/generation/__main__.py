"""`python -m hack.generation write|verify`."""

import sys
from typing import Final

from hack import generation
from hack.failure import Failure

SHOWN_LINES: Final = 40


def main(command: str) -> int:
    """Run one of the two commands; 1 where something is stale."""
    if command == "write":
        print("\n".join(generation.write(generation.ROOT)))
        return 0
    diffs = generation.stale()
    for diff in diffs:
        lines = diff.splitlines()
        print("\n".join(lines[:SHOWN_LINES]))
        if len(lines) > SHOWN_LINES:
            print(f"… {len(lines) - SHOWN_LINES} more lines")
    if diffs:
        print(
            f"{len(diffs)} generated file(s) are stale. Run hack/generate and commit what it writes.", file=sys.stderr
        )
    return 1 if diffs else 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["write"], ["verify"]):
        sys.exit("usage: hack/generate or hack/verify")
    try:
        sys.exit(main(sys.argv[1]))
    except Failure as failure:
        sys.exit(str(failure))
