"""`tandem-operator size`: how many GPUs a model needs."""

import argparse
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tandem_operator.model_files import HubUnreachableError, NoModelError, in_folder, on_hub
from tandem_operator.sizing.gpu import Gpu, UnknownGpuError, named
from tandem_operator.sizing.known import known
from tandem_operator.sizing.metadata import CONFIG, read_metadata
from tandem_operator.sizing.plan import MOST_GPUS, DoesNotFitError, Plan, Wanted, plan
from tandem_operator.sizing.shape import ModelShape, UnknownShapeError
from tandem_operator.sizing.telling import table, verdict

_REPOSITORY: Final = r"(?:hf://)?([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(?:@([A-Za-z0-9][\w./-]*))?"
_MOST_TOKENS: Final = 2**30
_WRONG_USAGE: Final = 2


class _WrongModelError(Exception):
    """A MODEL of a form that is not known."""


@dataclass(frozen=True)
class _Found:
    """A model's shape, and what one should know of where it comes from."""

    name: str
    shape: ModelShape
    note: str = ""


def add_size(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of `tandem-operator`."""
    size = commands.add_parser("size", help="tell how many GPUs a model needs, and what fits them")
    size.add_argument("model", metavar="MODEL", help="hf://org/name[@revision], org/name or a folder with config.json")
    size.add_argument("--gpu", required=True, type=_gpu, metavar="NAME", help="kind of GPU, such as H100-80GB or L4")
    size.add_argument("--context", type=_up_to(_MOST_TOKENS), help="tokens of the longest request; default: the most")
    size.add_argument("--concurrency", type=_up_to(65_536), help="requests of that length at once; default: 1")
    size.add_argument("--gpus", type=_up_to(MOST_GPUS), help="GPUs that there are; default: the fewest that do")
    size.add_argument("--gpus-per-node", type=_up_to(MOST_GPUS), default=8, help="default: 8")
    size.add_argument("--utilization", type=_share, default=0.92, help="vLLM's gpu-memory-utilization; default: 0.92")
    size.add_argument("--revision", help="branch, tag or commit on the hub")
    size.set_defaults(run=_size)


def _size(arguments: argparse.Namespace) -> int:
    wanted = Wanted(
        context=arguments.context,
        concurrency=arguments.concurrency,
        gpus=arguments.gpus,
        gpus_per_node=arguments.gpus_per_node,
        utilization=arguments.utilization,
    )
    try:
        found = _found(arguments.model, arguments.revision)
        result = plan(found.shape, arguments.gpu, wanted)
    except (DoesNotFitError, NoModelError, UnknownShapeError) as error:
        sys.stderr.write(f"{arguments.model}: {error}\n")
        return 1
    except _WrongModelError as error:
        sys.stderr.write(f"{error}\n")
        return _WRONG_USAGE
    note = f"Note: {found.note}.\n" if found.note else ""
    sys.stdout.write(f"{verdict(found.name, result)}\n\n{table(result)}\n{note}\n{_snippet(result)}")
    return 0


def _found(model: str, revision: str | None) -> _Found:
    """Return the model's shape, of a folder, the hub, or the known models where the hub does not tell."""
    folder = Path(model)
    if folder.is_dir():
        return _Found(model, read_metadata(in_folder(folder)))
    written = re.fullmatch(_REPOSITORY, model)
    if not written:
        raise _WrongModelError(
            f"{model} is neither a folder nor hf://org/name[@revision]; for models elsewhere, give a folder with"
            f" {CONFIG} and model.safetensors.index.json"
        )
    repository = written[1]
    try:
        return _Found(repository, read_metadata(on_hub(repository, revision or written[2])))
    except (HubUnreachableError, NoModelError) as error:
        if shape := known(repository):
            return _Found(repository, shape, f"{error}. These are the figures that Tandem knows of this model")
        if isinstance(error, NoModelError):
            raise
        raise NoModelError(
            f"{error}, and the model is none of those that Tandem knows; set HF_ENDPOINT to a hub that answers, or give"
            f" a folder with {CONFIG} and model.safetensors.index.json"
        ) from error


def _snippet(result: Plan) -> str:
    """Return the fields of spec.engine that make it so."""
    engine: dict[str, Any] = {"gpus": result.gpus, "parallelism": {"tensor": result.tensor}}
    if result.pipeline > 1:
        engine["parallelism"]["pipeline"] = result.pipeline
    engine["maxModelLen"] = result.max_model_len
    if result.wanted.utilization != Wanted().utilization:
        engine["extraArgs"] = [f"--gpu-memory-utilization={result.wanted.utilization:g}"]
    return yaml.safe_dump({"spec": {"engine": engine}}, sort_keys=False)


def _gpu(name: str) -> Gpu:
    try:
        return named(name)
    except UnknownGpuError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share of a GPU's memory; write one above 0 and up to 1")
    return value


def _up_to(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 1 to a bound."""

    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 to {most:,}")
        return int(text)

    return read
