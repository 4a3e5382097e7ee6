"""tandem-orchestrator serve | check | keys | tenants | stores | migrate | load-test."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog
from tandem_contract.config import OrchestratorConfig, checks
from tandem_contract.names import CONFIG_PATH, ORCHESTRATOR_PORT
from tandem_contract.output import ends_with_its_reader

from tandem_orchestrator.check import report
from tandem_orchestrator.config import ConfigError, Source, unknown_variables
from tandem_orchestrator.key_commands import arguments as key_commands
from tandem_orchestrator.load_test import command as load_test
from tandem_orchestrator.observability import logs
from tandem_orchestrator.process.shared_folder import shared_folder
from tandem_orchestrator.schema_commands import arguments as schema_commands
from tandem_orchestrator.store_commands import arguments as store_commands
from tandem_orchestrator.tenant_commands import arguments as tenant_commands

FAILED: Final = 1


@ends_with_its_reader()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 1 when the configuration cannot be used."""
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201
        return FAILED


def _check(options: argparse.Namespace) -> int:
    from tandem_orchestrator.auth.key_files import KeyFiles  # noqa: PLC0415 # see `_serve`
    from tandem_orchestrator.process.server import certificate_of  # noqa: PLC0415
    from tandem_orchestrator.tools import build  # noqa: PLC0415

    source = Source(options.config)
    config = source.load()
    build.check(config.tools)
    certificate_of(config)
    if problems := KeyFiles(config.keys.files).problems:
        raise ConfigError([f"keys.files: {problem}" for problem in problems])
    for line in report(config, source.older):
        print(line)  # noqa: T201
    return 0


def _serve(options: argparse.Namespace) -> int:
    environ = dict(os.environ)
    if options.workers is not None:
        environ["TANDEM_SERVER__WORKERS"] = str(options.workers)
    source = Source(options.config, environ)
    config = source.load()
    logs.configure(config.logging.level, config.logging.format)
    log = structlog.get_logger()
    for warning in checks.warnings(config):
        log.warning("configuration", warning=warning)
    for note in source.older.notes:
        log.info("older name", note=note)
    for warning in source.older.warnings:
        log.warning("older name", warning=warning)
    for name in unknown_variables():
        log.warning("unknown variable, it sets nothing", variable=name)
    host = config.standalone.host if options.host is None else options.host
    port = config.standalone.port if options.port is None else options.port
    if config.server.workers == 1:
        return _serve_here(source, config, host, port)
    with shared_folder() as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
        # Imported here, since Prometheus' client asks at its import where several workers keep their values.
        from tandem_orchestrator.process.supervisor import supervise  # noqa: PLC0415

        return supervise(source, config, host, port, folder)


def _serve_here(source: Source, config: OrchestratorConfig, host: str | None, port: int) -> int:
    from tandem_orchestrator.process.server import listen, serve  # noqa: PLC0415 # see `_serve`

    opened = listen(config, host, port)
    structlog.get_logger().info("serving", host=host or "*", port=opened[0].getsockname()[1], workers=1)
    serve(source, config, opened)
    return 0


def _keys(options: argparse.Namespace) -> int:
    from tandem_orchestrator.key_commands.commands import run  # noqa: PLC0415 # see `_serve`

    return run(options)


def _tenants(options: argparse.Namespace) -> int:
    from tandem_orchestrator.tenant_commands.commands import run  # noqa: PLC0415 # see `_serve`

    return run(options)


def _stores(options: argparse.Namespace) -> int:
    from tandem_orchestrator.store_commands.commands import run  # noqa: PLC0415 # see `_serve`

    return run(options)


def _migrate(options: argparse.Namespace) -> int:
    from tandem_orchestrator.schema_commands.commands import run  # noqa: PLC0415 # see `_serve`

    return run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tandem-orchestrator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--config", type=Path, help=f"settings in YAML; else TANDEM_CONFIG, else {CONFIG_PATH} if it exists"
    )
    serve = commands.add_parser("serve", parents=[shared], help="serve until SIGTERM")
    serve.add_argument("--host", help="address to listen at (default: standalone.host, or every one)")
    serve.add_argument("--port", type=int, help=f"port (default: standalone.port, or {ORCHESTRATOR_PORT})")
    serve.add_argument("--workers", type=int, help="processes that serve the port (default: server.workers, or 1)")
    serve.set_defaults(run=_serve)
    check = commands.add_parser("check", parents=[shared], help="validate the configuration, list every error")
    check.set_defaults(run=_check)
    key_commands.add_arguments(commands, shared, _keys)
    tenant_commands.add_arguments(commands, shared, _tenants)
    store_commands.add_arguments(commands, shared, _stores)
    schema_commands.add_arguments(commands, shared, _migrate)
    load = commands.add_parser("load-test", help="put a running service under load, and judge how it bears it")
    load_test.add_arguments(load)
    load.set_defaults(run=load_test.main)
    return parser


if __name__ == "__main__":
    sys.exit(main())
