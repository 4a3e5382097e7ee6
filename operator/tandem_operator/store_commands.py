"""`tandem-operator fetch | evict`: models in a store, as Jobs fill and empty it."""

import argparse
import json
import logging
import os
import re
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Final

from tandem_operator.api.source import HF_PATTERN, HuggingFace, parse
from tandem_operator.model_store import ending
from tandem_operator.model_store.errors import FetchError, PermanentError, StoppedError
from tandem_operator.model_store.eviction import evict
from tandem_operator.model_store.manifest import Manifest
from tandem_operator.model_store.place import Wish
from tandem_operator.model_store.progress import Progress, State
from tandem_operator.model_store.refusal import shown
from tandem_operator.model_store.selection import Selection

logger = logging.getLogger(__name__)

PASSING: Final = 1
"""Exit code of what may go well the next time."""
PERMANENT: Final = 3
"""Exit code of what does not get better by itself; 2 is argparse's, of wrong usage."""
_TERMINATION_LOG: Final = "/dev/termination-log"


def add_to(commands: Any) -> None:
    """Add the commands to those of a parser."""
    fetch = commands.add_parser("fetch", help="put a model of the Hugging Face hub into a store, unless it is there")
    fetch.add_argument("source", type=_source, metavar="SOURCE", help="hf://org/name or hf://org/name@revision")
    fetch.add_argument("--store", type=Path, required=True, help="folder of the store, such as a claim's mount")
    fetch.add_argument("--file", action="append", default=[], metavar="NAME", help="this file alone; may be repeated")
    fetch.add_argument(
        "--allow", action="append", default=[], metavar="PATTERN", help="files to take besides; may be repeated"
    )
    fetch.add_argument("--code", action="store_true", help="take Python files, for engines that trust remote code")
    fetch.add_argument("--verify", action="store_true", help="look at the bytes of a complete model again")
    fetch.add_argument("--evict", action="store_true", help="remove other models where there is no room for it")
    fetch.add_argument(
        "--keep", type=_source, action="append", default=[], metavar="SOURCE", help="model that stays; may be repeated"
    )
    fetch.add_argument("--patience", type=float, default=3600, help="seconds without a byte before it gives up")
    fetch.add_argument("--progress-port", type=int, default=8080, help="port of /progress")
    fetch.set_defaults(run=_fetch)
    removal = commands.add_parser(
        "evict", help="remove models from a store, those first that were not asked for longest"
    )
    removal.add_argument("--store", type=Path, required=True, help="folder of the store")
    removal.add_argument("--keep", nargs="*", type=_source, default=[], metavar="SOURCE", help="models that stay")
    removal.add_argument("--max-bytes", type=int, default=0, help="how much may stay; 0 removes all that is not kept")
    removal.set_defaults(run=_evict)


def _source(text: str) -> HuggingFace:
    if re.fullmatch(HF_PATTERN, text) and ".." not in text:
        source = parse(text)
        assert isinstance(source, HuggingFace)  # noqa: S101 # for mypy
        return source
    raise argparse.ArgumentTypeError(f"{text} is not written hf://org/name or hf://org/name@revision")


def _fetch(arguments: argparse.Namespace) -> int:
    from tandem_operator.model_store.progress_server import told  # noqa: PLC0415 # http.server takes its time

    _log_plainly()
    signal.signal(signal.SIGTERM, _stop)  # the first process of a container has no handler of its own
    selection = Selection(tuple(arguments.file), tuple(arguments.allow), arguments.code)
    kept = tuple(arguments.keep) if arguments.evict else None
    wish = Wish(arguments.source, arguments.store, selection, arguments.verify, kept)
    began, progress = time.monotonic(), Progress()
    with told(progress, arguments.progress_port) as port:
        logger.info("%s is wanted in %s; progress on port %s", wish.uri, wish.folder, port)
        outcome = _outcome(wish, progress, arguments.patience)
        end = ending.of(outcome, progress.fetched, time.monotonic() - began)
        progress.end(State(end["state"]), end["message"])
    ending.write(Path(os.environ.get("TERMINATION_LOG", _TERMINATION_LOG)), end)
    sys.stdout.write(f"{json.dumps(end, ensure_ascii=False)}\n")
    if isinstance(outcome, PermanentError):
        return PERMANENT
    return PASSING if isinstance(outcome, FetchError) else 0


def _outcome(wish: Wish, progress: Progress, patience: float) -> Manifest | FetchError:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before the client is imported, which reads it once
    from tandem_operator.model_store.fetching import fetch  # noqa: PLC0415 # the client takes half a second

    try:
        return fetch(wish, progress, patience)
    except FetchError as error:
        logger.error("%s: %s", error.reason, error)  # noqa: TRY400 # it says all there is to know
        return error
    except Exception as error:  # noqa: BLE001 # whatever it is, the Job says so, and without what URLs may hold
        logger.error("%s\n%s", shown(error), "".join(traceback.format_tb(error.__traceback__)))  # noqa: TRY400
        return FetchError("Unexpected", shown(error))


def _evict(arguments: argparse.Namespace) -> int:
    _log_plainly()
    freed = evict(arguments.store, arguments.keep, arguments.max_bytes)
    sys.stdout.write(f"{json.dumps({'freed': freed})}\n")
    return 0


def _log_plainly() -> None:
    """Log our own lines; those of HTTP clients would show signed URLs."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("tandem_operator").setLevel(logging.INFO)


def _stop(*_: object) -> None:
    raise StoppedError
