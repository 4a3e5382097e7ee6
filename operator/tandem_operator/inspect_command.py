"""`tandem-operator inspect`: the program of the Job that looks at a model's small files, to size its engine."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from tandem_operator.api.source import Bucket, HuggingFace, parse
from tandem_operator.api.text import shortened
from tandem_operator.model_files import HubUnreachableError, NoModelError, in_bucket, in_folder, on_hub
from tandem_operator.sizing.metadata import Read, read_metadata
from tandem_operator.sizing.shape import UnknownShapeError

_LONGEST: Final = 512
"""Characters of a problem: Kubernetes keeps 4,096 bytes of a termination message."""
_TERMINATION_LOG: Final = "/dev/termination-log"


def add_inspect(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `tandem-operator`."""
    inspect = commands.add_parser("inspect", help="print what sizing goes by of a model, as JSON")
    inspect.add_argument("source", metavar="SOURCE", help="hf://org/name[@revision], s3://bucket/prefix or a folder")
    inspect.set_defaults(run=_inspect)


def _inspect(arguments: argparse.Namespace) -> int:
    try:
        said: dict[str, Any] = {"shape": read_metadata(_read(arguments.source)).model_dump(mode="json")}
    except (HubUnreachableError, NoModelError, UnknownShapeError) as error:
        said = {"problem": shortened(str(error), _LONGEST)}
    text = json.dumps(said, separators=(",", ":"))
    log = Path(os.environ.get("TERMINATION_LOG", _TERMINATION_LOG))
    if log.exists():  # where Kubernetes has made it
        log.write_text(text)
    sys.stdout.write(f"{text}\n")
    return int("problem" in said)


def _read(source: str) -> Read:
    if "://" not in source:
        return in_folder(Path(source))
    match parse(source):
        case HuggingFace(repository, revision):
            return on_hub(repository, revision)
        case Bucket(uri):
            return in_bucket(uri)
    raise NoModelError(f"{source} is none of hf://, s3:// and a folder")
