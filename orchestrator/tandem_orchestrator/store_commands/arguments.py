"""What the commands take; imports little, since every other command waits for it too."""

import argparse
from collections.abc import Callable


def add_arguments(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    shared: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the commands; `run` gets what was asked, with `action` as the function of `commands` to call."""
    actions = commands.add_parser("stores", help="vector stores, and what made their vectors").add_subparsers(
        required=True
    )
    listed = actions.add_parser("list", parents=[shared], help="list vector stores, and which are to be indexed anew")
    listed.add_argument("--tenant", help="only those of this tenant")
    listed.add_argument("--output", choices=("text", "json"), default="text", help="what to print (default text)")
    listed.set_defaults(run=run, action="list_")
    help_ = "have vector stores indexed anew as the settings are now, by the processes that serve"
    reindex = actions.add_parser("reindex", parents=[shared], help=help_)
    reindex.add_argument("ids", nargs="*", metavar="ID", help="which ones, whatever they are made with")
    reindex.add_argument("--all", action="store_true", help="instead: all that are not made as the settings are now")
    reindex.add_argument("--tenant", help="only those of this tenant")
    reindex.add_argument("--wait", action="store_true", help="wait until they are searched in their new index")
    reindex.set_defaults(run=run, action="reindex")
