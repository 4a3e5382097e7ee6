"""`tandem-operator run | render | crd`."""

import argparse
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tandem_operator import documents
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.schema import crd
from tandem_operator.manifests import Images, Platform, build


def main() -> int:
    """Run the command line; the exit code is 1 for invalid input and 2 for wrong usage."""
    arguments = _parser().parse_args()
    return int(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tandem-operator", description="Operator for LLMService resources")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    render = commands.add_parser("render", help="print the objects that the LLMServices in FILE become; no cluster")
    render.add_argument("files", nargs="+", type=Path, metavar="FILE")
    render.add_argument(
        "--capabilities",
        default="",
        metavar="LIST",
        help="optional APIs to assume, comma-separated, such as monitoring.coreos.com/v1/ServiceMonitor",
    )
    render.set_defaults(run=_render)
    definition = commands.add_parser("crd", help="print the CustomResourceDefinition")
    definition.set_defaults(run=_crd)
    return parser


def _crd(_: argparse.Namespace) -> int:
    _print_yaml([crd()])
    return 0


def _render(arguments: argparse.Namespace) -> int:
    capabilities = frozenset(filter(None, arguments.capabilities.split(",")))
    platform = Platform(capabilities, Images.from_environment(os.environ))
    rendered: list[dict[str, Any]] = []
    failed = False
    for path in arguments.files:
        try:
            for item in documents.read(path):
                if isinstance(item, LLMService):
                    rendered += build(item, platform)
                else:
                    sys.stderr.write(f"{item}\n")
        except documents.InvalidDocumentError as error:
            sys.stderr.write(f"{error}\n")
            failed = True
    _print_yaml(rendered)
    return int(failed)


class _Dumper(yaml.SafeDumper):
    """YAML as people write it: no anchors, lists indented, long text as blocks."""

    def ignore_aliases(self, _: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _print_yaml(objects: Iterable[Any]) -> None:
    for item in objects:
        sys.stdout.write("---\n")
        yaml.dump(item, sys.stdout, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
