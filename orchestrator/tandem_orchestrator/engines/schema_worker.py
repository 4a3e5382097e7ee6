"""The program in which answers are checked against schemas that clients wrote: a small schema may take any time and
memory.

A question is `{"schema": …, "text": …}`, without `text` where only the schema is looked at. It is answered `fits`, with
the document that is the text, `fails`, with what is wrong with it, or `refused`, with what is wrong with the schema.
"""

import json
import os
import resource
import signal
import sys
from itertools import islice
from typing import Any, Final

import orjson
from tandem_contract import json_schema

CPU_SECONDS: Final = 1.0  # for one question
MEMORY: Final = 268_435_456  # bytes
NICENESS: Final = 5  # requests go first, though one waits for this
OUT_OF_MEMORY: Final = 70
MOST_PROBLEMS: Final = 5
MAX_PROBLEM: Final = 300  # characters
FENCE: Final = "```"


def main() -> None:
    """Serve until its standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all, and the parent decides
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    while line := sys.stdin.buffer.readline():
        signal.setitimer(signal.ITIMER_VIRTUAL, CPU_SECONDS)  # whose signal the kernel ends it with
        try:
            kind, said = answer(json.loads(line))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        body = said.encode(errors="replace")
        sys.stdout.buffer.write(b"%s %d\n%s" % (kind, len(body), body))
        sys.stdout.buffer.flush()


def answer(question: dict[str, Any]) -> tuple[bytes, str]:
    """Return kind and text of the answer."""
    try:
        validator = json_schema.validator(question["schema"])
    except json_schema.InvalidSchema as error:
        return b"refused", _short(str(error))
    if "text" not in question:
        return b"fits", ""
    text = _without_fence(question["text"])
    try:
        document = _document(text)
    except (ValueError, RecursionError) as error:
        return b"fails", f"it is not JSON: {_short(str(error))}"
    problems = [_short(json_schema.problem(error)) for error in islice(validator.iter_errors(document), MOST_PROBLEMS)]
    return (b"fails", "; ".join(problems)) if problems else (b"fits", text)


def _document(text: str) -> Any:
    """Return what `text` says to every parser. Raises `ValueError`."""
    orjson.loads(text)  # takes no NaN and no half of a character, which the other parser does
    return json.loads(text, object_pairs_hook=_object)


def _without_fence(text: str) -> str:
    text = text.strip()
    if text.startswith(FENCE) and text.endswith(FENCE) and "\n" in text:
        return text.partition("\n")[2].removesuffix(FENCE).strip()
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what parsers read in different ways."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object has a name twice")
    return found


def _short(text: str) -> str:
    return text if len(text) <= MAX_PROBLEM else f"{text[:MAX_PROBLEM]}…"


if __name__ == "__main__":
    main()
