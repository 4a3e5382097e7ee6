"""Rules for what of an engine's command line and environment is the operator's."""

import re
from collections.abc import Iterable
from typing import Final

from tandem_operator.rules import Rule

_NAME: Final = "^-[-_A-Za-z0-9]+"
HIDDEN: Final = "^(-[^=]*)?[$][(]"
"""Kubernetes fills in variables before an engine reads its arguments, so that an option could come from one."""


def options(whole: tuple[str, ...], families: tuple[str, ...], why: str) -> Rule:
    """Return the rule that `extraArgs` has none of these options, nor one that begins as a family does.

    So in every spelling that argparse takes: `_` counts as `-`, a value may follow behind `=`, and the beginning of a
    name is enough. Stricter parsers take fewer.
    """
    known = (*whole, *families)

    def is_owned(argument: str) -> bool:
        name = _name(argument)
        return bool(name) and (any(option.startswith(name) for option in known) or name.startswith(families))

    return Rule(
        cel=f"!self.extraArgs.map(a, a.find('{_NAME}').replace('_', '-')).exists(n, n != '' && ("
        f"{[*known]}.exists(o, o.startsWith(n)) || {list(families)}.exists(f, n.startsWith(f))))",
        holds=lambda engine: not any(map(is_owned, engine.extra_args)),
        message=f"engine.extraArgs must not set what the operator sets, however it is spelt: {why}",
        field="extraArgs",
    )


def repeated(extra_args: Iterable[str], options: Iterable[str], *, shortened: bool) -> list[str]:
    """Return which of these options the arguments have; `shortened`: be it by the beginning of their names."""
    names = {name for argument in extra_args if (name := _name(argument))}
    return [option for option in options if any(option.startswith(n) if shortened else option == n for n in names)]


def _name(argument: str) -> str:
    """Return the name of the option that an argument begins with, if any."""
    found = re.match(_NAME, argument)
    return found[0].replace("_", "-") if found else ""


def hidden(pattern: str = HIDDEN, hint: str = "; a value may be a variable, as in --option=$(NAME)") -> Rule:
    """Return the rule that no option of `extraArgs` comes from a variable."""
    return Rule(
        cel=f"!self.extraArgs.exists(a, a.matches('{pattern}'))",
        holds=lambda engine: not any(re.match(pattern, argument) for argument in engine.extra_args),
        message=f"engine.extraArgs must not take an option from a variable{hint}",
        field="extraArgs",
    )


def variables(pattern: str, why: str) -> Rule:
    """Return the rule that `env` sets no variable whose whole name fits the pattern."""
    return Rule(
        cel=f"!self.env.exists(e, e.name.matches('^({pattern})$'))",
        holds=lambda engine: not any(re.fullmatch(pattern, env.name) for env in engine.env),
        message=f"engine.env must not set {why}",
        field="env",
    )
