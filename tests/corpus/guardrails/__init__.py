"""Texts with secrets, personal data and injections, and such as only look like it. All are made up.

What looks like a key is put together when it is read, so that nobody who searches this repository for keys finds some.
"""

import random
import re
import string
from pathlib import Path
from typing import Final, NamedTuple

FAMILIES: Final = ("secrets", "personal_data", "injections")
NONE: Final = "none"
_ALPHABETS: Final = {
    "A": string.ascii_letters + string.digits,
    "B": string.ascii_letters + string.digits + "+/",
    "H": "0123456789abcdef",
    "N": string.digits,
    "U": string.ascii_uppercase + "234567",
}
_BY_CHANCE: Final = re.compile(r"<([ABHNU])(\d+)>")
_ESCAPED: Final = re.compile(r"\\(?:u[0-9a-f]{4}|U[0-9a-f]{8})|(?<!\\)\\n")


class Sample(NamedTuple):
    kind: str
    text: str


def samples(family: str, *, held_out: bool = False) -> list[Sample]:
    """Return the texts of a family; those held out are what rules were never tuned on."""
    folder = Path(__file__).parent / ("held_out" if held_out else "")
    lines = (folder / f"{family}.txt").read_text(encoding="utf-8").splitlines()
    return [_sample(line) for line in lines if not line.startswith("#")]


def _sample(line: str) -> Sample:
    kind, _, text = line.partition(": ")
    chance = random.Random(line)
    text = _BY_CHANCE.sub(lambda part: "".join(chance.choices(_ALPHABETS[part[1]], k=int(part[2]))), text)
    return Sample(kind, _ESCAPED.sub(lambda part: part[0].encode().decode("unicode_escape"), text))
