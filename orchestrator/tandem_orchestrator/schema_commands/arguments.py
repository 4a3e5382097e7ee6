"""What the command takes; imports little, since every other command waits for it too."""

import argparse
from collections.abc import Callable


def add_arguments(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    shared: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the command; `run` gets what was asked, with `action` as the function of `commands` to call."""
    migrate = commands.add_parser("migrate", parents=[shared], help="bring the database up to date, as serve does")
    migrate.set_defaults(run=run, action="migrate")
    way = migrate.add_mutually_exclusive_group()
    way.add_argument("--to", metavar="REVISION", help="no further than to this one (default: the last)")
    way.add_argument("--down", metavar="REVISION", help="back to this one; stop the services of later versions before")
    way.add_argument("--status", action="store_true", help="change nothing, and say what has been migrated")
    migrate.add_argument("--discard", action="store_true", help="with --down: lose the rows that stand in the way")
