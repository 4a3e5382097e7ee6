"""Which flags an engine's releases take: a table by release, which `hack/engine_flags.py` makes from their packages."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from typing import Final

_FLAG: Final = "--[A-Za-z0-9][-_A-Za-z0-9]*"
_NEGATION: Final = "--no-"
_VERSION: Final = r"v?(\d+)\.(\d+)\.(\d+)(?:\.post\d+)?(?:-[-a-z0-9.]+)?"
Release = tuple[int, ...]


class Releases:
    """What is known of one engine's releases; of one between two in the table, only what both have or both lack."""

    def __init__(self, engine: str, name: str, image: str, *, letter: str = "v", exact: bool = False) -> None:
        """`name`: as in messages; `image`: pattern of the last part of an image's name with its tag, whose groups are
        the release's numbers; `letter` before them in text. Flags are `exact` where their beginning is not enough.
        """
        self._engine = engine
        self._name = name
        self._image = re.compile(rf"(?:^|/)(?:{image})(?:@.*)?$")
        self._letter = letter
        self._exact = exact

    @cached_property
    def _flags(self) -> dict[Release, frozenset[str]]:
        """The flags of each release of the table, the oldest first."""
        table = json.loads(files(__name__).joinpath(f"{self._engine}.json").read_text())
        known: dict[Release, frozenset[str]] = {}
        flags: frozenset[str] = frozenset()
        for entry in table:
            flags = (flags | set(entry["new"])) - set(entry["gone"])
            known[tuple(map(int, entry["release"].split(".")))] = flags
        return known

    def has(self, image: str, flag: str) -> bool:
        """Return whether the image's release takes a flag for certain."""
        around = self._around(image)
        return bool(around) and all(flag in self._flags[release] for release in around)

    def lacking(self, image: str, arguments: list[str]) -> Iterator[str]:
        """Yield a sentence for each argument that is a flag which the image's release does not take.

        Nothing is said of images whose release their tag does not tell, or is older or newer than the table.
        """
        around = self._around(image)
        if not around:
            return
        for argument in arguments:
            found = re.match(_FLAG, argument)
            flag = found[0].replace("_", "-") if found else None
            if flag and not any(self._takes(release, flag) for release in around):
                yield f"{flag} is not in {self._name} {self._tag(image)}{self._history(flag, around[0])}"

    def _around(self, image: str) -> tuple[Release, ...]:
        """Return the release if it is in the table, else the two beside it; none if that is not known."""
        found = self._image.search(image)
        if found is None:
            return ()
        release = tuple(map(int, found.groups()))
        if release in self._flags:
            return (release,)
        return next(((before, after) for before, after in pairwise(self._flags) if before < release < after), ())

    def _takes(self, release: Release, flag: str) -> bool:
        """Return whether a release takes a flag; where whole ones are not needed, also as the negation of another."""
        if self._exact:
            return flag in self._flags[release]
        names = (flag, flag.replace(_NEGATION, "--", 1) if flag.startswith(_NEGATION) else flag)
        return any(known.startswith(name) for known in self._flags[release] for name in names)

    def _history(self, flag: str, release: Release) -> str:
        """Return when the flag came or went, seen from a release that lacks it."""
        having = [other for other in self._flags if self._takes(other, flag)]
        later = next((other for other in having if other > release), None)
        if later:
            return f"; it came with {self._text(later)}"
        if having:
            gone = next(other for other in self._flags if other > having[-1])
            return f"; it was there until {self._text(having[-1])} and is gone in {self._text(gone)}"
        return ", nor in any release that is known here"

    def _tag(self, image: str) -> str:
        return image.partition("@")[0].rpartition(":")[2]

    def _text(self, release: Release) -> str:
        return f"{self._letter}{'.'.join(map(str, release))}"


VLLM: Final = Releases("vllm", "vLLM", f"vllm(?:-openai)?(?:-[a-z0-9]+)?:{_VERSION}")
SGLANG: Final = Releases("sglang", "SGLang", f"sglang:{_VERSION}")
LLAMACPP: Final = Releases(
    "llamacpp", "llama.cpp", r"llama\.cpp:(?:server|full)(?:-[a-z0-9]+)*-b(\d+)", letter="b", exact=True
)
