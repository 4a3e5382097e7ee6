"""tandem-orchestrator serve | check | load-test."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog
from tandem_contract.names import CONFIG_PATH, ORCHESTRATOR_PORT

from tandem_orchestrator.config import ConfigError, load, unknown_variables
from tandem_orchestrator.load_test import command as load_test
from tandem_orchestrator.observability import logs
from tandem_orchestrator.server import serve


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; 1 when the configuration cannot be used."""
    options = _parser().parse_args(arguments)
    if options.command == "load-test":
        return load_test.main(options)
    try:
        config = load(options.config)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201
        return 1
    if options.command == "check":
        engines = ", ".join(f"{upstream.name} at {upstream.url}" for upstream in config.upstreams)
        print(f"The configuration is valid. Engines: {engines}")  # noqa: T201
        return 0
    logs.configure(config.logging.level)
    for name in unknown_variables():
        structlog.get_logger().warning("unknown variable, it sets nothing", variable=name)
    serve(config, options.host, options.port)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tandem-orchestrator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--config", type=Path, help=f"settings in YAML; else TANDEM_CONFIG, else {CONFIG_PATH} if it exists"
    )
    run = commands.add_parser("serve", parents=[shared], help="serve until SIGTERM")
    run.add_argument("--host", default="0.0.0.0", help="address to listen at (default %(default)s)")  # noqa: S104
    run.add_argument("--port", type=int, default=ORCHESTRATOR_PORT, help="port (default %(default)s)")
    commands.add_parser("check", parents=[shared], help="validate the configuration, list every error")
    load = commands.add_parser("load-test", help="put a running service under load, and judge how it bears it")
    load_test.add_arguments(load)
    return parser


if __name__ == "__main__":
    sys.exit(main())
