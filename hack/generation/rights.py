"""The operator's rights as a table, out of the roles in install.yaml and the comments that say why."""

import re
from collections.abc import Iterator
from typing import Final

RULE: Final = re.compile(
    r"(?P<why>(?:^ +# .*\n)+)"
    r"^ +- apiGroups: \[(?P<group>.*)\]\n"
    r"^ +resources: \[(?P<resources>.*)\]\n"
    r"^ +verbs: \[(?P<verbs>.*)\]$",
    re.MULTILINE,
)


def rows(manifest: str) -> Iterator[tuple[str, str, str]]:
    """Yield (resources, verbs, why) of every rule."""
    for rule in RULE.finditer(manifest):
        group = rule["group"].strip('"')
        resources = (f"`{name}.{group}`" if group else f"`{name}`" for name in rule["resources"].split(", "))
        why = " ".join(line.strip().removeprefix("# ") for line in rule["why"].splitlines())
        yield ", ".join(resources), rule["verbs"], why
