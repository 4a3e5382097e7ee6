"""`tandem-operator run | render | size | inspect | fetch | evict | crd`."""

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from tandem_contract.output import ends_with_its_reader

from tandem_operator import documents, store_commands
from tandem_operator.api.allowance import VARIABLE, Allowance
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.schema import crd
from tandem_operator.inspect_command import add_inspect
from tandem_operator.manifests import Images, Platform, build, unknown_arguments
from tandem_operator.size_command import add_size
from tandem_operator.sizing.without_cluster import not_sized, sized


@ends_with_its_reader()
def main() -> int:
    """Run the command line; the exit code is 1 for invalid input and 2 for wrong usage, fetch has one more."""
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
    serve = commands.add_parser("run", help="serve the cluster that the pod or the kubeconfig belongs to")
    serve.add_argument(
        "--namespace",
        action="append",
        default=[],
        help="serve this namespace only (or those that match a pattern); may be repeated",
    )
    serve.add_argument("--metrics-port", type=int, default=8080, help="port of /healthz and /metrics")
    serve.add_argument("--resync-seconds", type=float, default=60, help="how often everything is looked at again")
    serve.add_argument("--leader-elect", action="store_true", help="share the work with standby replicas by a Lease")
    serve.add_argument("--lease-namespace", default=os.environ.get("POD_NAMESPACE"), help="namespace of the Lease")
    serve.set_defaults(run=_run)
    add_size(commands)
    add_inspect(commands)
    definition = commands.add_parser("crd", help="print the CustomResourceDefinition")
    definition.set_defaults(run=_crd)
    store_commands.add_to(commands)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    # Clients and watches take a second to import, which render and crd can do without.
    import kopf  # noqa: PLC0415
    import uvloop  # noqa: PLC0415

    from tandem_operator.kube.leader import Candidacy  # noqa: PLC0415
    from tandem_operator.runtime import Options, run  # noqa: PLC0415

    kopf.configure(log_format=kopf.LogFormat.JSON)
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # a line for every watch event otherwise
    try:
        allowance = Allowance.from_environment(os.environ)
    except ValidationError as error:
        sys.stderr.write("".join(f"{VARIABLE}: {line}\n" for line in documents.problems(error)))
        return 2
    candidacy = None
    if arguments.leader_elect:
        if not arguments.lease_namespace:
            sys.stderr.write("--leader-elect needs --lease-namespace or POD_NAMESPACE\n")
            return 2
        candidacy = Candidacy(os.environ.get("POD_NAME") or socket.gethostname(), arguments.lease_namespace)
    options = Options(
        Images.from_environment(os.environ),
        allowance,
        tuple(arguments.namespace),
        arguments.metrics_port,
        arguments.resync_seconds,
        candidacy,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(options))
    return 0


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
                if not isinstance(item, LLMService):
                    sys.stderr.write(f"{item}\n")
                elif problems := [*unknown_arguments(item, platform), *not_sized(item)]:
                    sys.stderr.write("".join(f"{path}, {item.name}: {line}\n" for line in problems))
                    failed = True
                else:
                    rendered += build(sized(item), platform)
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
