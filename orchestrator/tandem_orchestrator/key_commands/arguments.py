"""What the commands take; imports little, since every other command waits for it too."""

import argparse
from collections.abc import Callable


def add_arguments(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    shared: argparse.ArgumentParser,
    run: Callable[[argparse.Namespace], int],
) -> None:
    """Add the command; `run` gets what was asked, with `action` as the function of `commands` to call."""
    actions = commands.add_parser("keys", help="API keys in the database").add_subparsers(required=True)
    output = argparse.ArgumentParser(add_help=False)
    output.add_argument("--output", choices=("text", "json"), default="text", help="what to print (default text)")
    create = actions.add_parser("create", parents=[shared, output], help="make a key, and show it this once")
    create.set_defaults(run=run, action="create")
    _add_terms(create)
    listed = actions.add_parser("list", parents=[shared, output], help="list keys, without their secrets")
    listed.add_argument("--tenant", help="only those of this tenant")
    listed.set_defaults(run=run, action="list_")
    revoke = actions.add_parser("revoke", parents=[shared, output], help="end a key for good")
    revoke.add_argument("id", help="the key's id, out of `keys list`")
    revoke.set_defaults(run=run, action="revoke")


def _add_terms(create: argparse.ArgumentParser) -> None:
    create.add_argument("--tenant", required=True, help="whom the key is for")
    create.add_argument("--name", help="what people call the key")
    create.add_argument("--models", type=_names, metavar="A,B", help="models it may use (default: all)")
    create.add_argument("--tools", type=_names, metavar="A,B", help="server-side tools it may use (default: all)")
    for limit, meaning in (
        ("requests-per-minute", "requests within a minute"),
        ("tokens-per-minute", "tokens within a minute"),
        ("concurrent-requests", "requests at the same time"),
        ("tokens-per-day", "tokens within a day (UTC)"),
        ("tokens-per-month", "tokens within a calendar month (UTC)"),
    ):
        create.add_argument(f"--{limit}", type=int, metavar="N", help=f"{meaning} (default: unlimited)")
    end = create.add_mutually_exclusive_group()
    end.add_argument("--expires", metavar="TIME", help="when it ends, such as 2027-01-31T00:00:00Z (default: never)")
    end.add_argument("--expires-in", metavar="TIME", help="or how long it lasts, such as 30d or 12h")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
