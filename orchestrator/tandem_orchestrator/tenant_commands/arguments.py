"""What the commands take; imports little, since every other command waits for it too."""

import argparse
from collections.abc import Callable
from pathlib import Path


def add_arguments(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    shared: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the commands; `run` gets what was asked, with `action` as the function of `commands` to call."""
    help_ = "responses, conversations and files that tenants keep"
    actions = commands.add_parser("tenants", help=help_).add_subparsers(required=True)
    listed = actions.add_parser("list", parents=[shared], help="list tenants, and how much they keep")
    listed.add_argument("--output", choices=("text", "json"), default="text", help="what to print (default text)")
    listed.set_defaults(run=run, action="list_")
    export = actions.add_parser("export", parents=[shared], help="write all that a tenant keeps as JSON Lines")
    export.add_argument("tenant", help="whose")
    export.add_argument("--output", type=Path, metavar="FILE", help="where to (default: standard output)")
    files = "write the contents of files into this folder, each under its id"
    export.add_argument("--files", type=Path, metavar="FOLDER", help=files)
    export.set_defaults(run=run, action="export")
    purge = actions.add_parser("purge", parents=[shared], help="delete all that a tenant keeps, but for its keys")
    purge.add_argument("tenant", help="whose")
    purge.add_argument("--yes", action="store_true", help="do not ask; needed where there is no terminal")
    purge.set_defaults(run=run, action="purge")
