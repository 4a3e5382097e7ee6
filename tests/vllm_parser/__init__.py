"""A stand-in for the argument parser of `vllm serve`: its options, and the liberties it takes beyond argparse's."""

import argparse
import json
from itertools import chain
from pathlib import Path
from typing import NoReturn

OPTIONS = [line.split() for line in (Path(__file__).parent / "options.txt").read_text().splitlines()]
"""Names of each option of vLLM 0.33, the first one long."""
ENDS = ["", "=", "=x", "=--api-key", "x", "2", ".a", ".a=x", "+=x", "\n", "=x\n", " x", " =x", "=\n.x", "_", "-"]
"""What may follow an option's name, or a part of it."""
MODEL = "org/model"


class RefusedError(Exception):
    """vLLM would not start."""


class Parser(argparse.ArgumentParser):
    """Takes any value for any option, or none, so that it refuses no more than vLLM does."""

    def __init__(self) -> None:
        super().__init__(prog="vllm serve", add_help=False)
        self.add_argument("model_tag", nargs="?")
        for names in OPTIONS:
            if names == ["--optimization-level"]:
                self.add_argument(*names)
            else:
                self.add_argument(*names, nargs="?", const=True)

    def error(self, message: str) -> NoReturn:
        raise RefusedError(message)

    def settings(self, arguments: list[str]) -> dict[str, object]:
        """What a command line sets beside its model. Raises `RefusedError`."""
        plain: list[str] = []
        nested: list[str] = []
        given = chain.from_iterable(map(_expanded, arguments))
        for argument in given:
            name, equals, value = argument.partition("=")
            option, dot, key = name.partition(".")
            if option.startswith("--"):
                option = option.replace("_", "-")
            if name.startswith("-") and dot:  # a part of a JSON document
                nested += [option, json.dumps({key: value if equals else next(given, None)})]
            else:
                plain.append(f"{option}{dot}{key}{equals}{value}")
        found = vars(self.parse_args([MODEL, *plain, *nested]))
        if found.pop("model_tag") != MODEL:
            found["model"] = True
        return {name: value for name, value in found.items() if value is not None}


def _expanded(argument: str) -> list[str]:
    if argument.startswith("-O") and argument != "-O":
        return ["--optimization-level", argument[2:].removeprefix("=")]
    return [argument]
