"""Calls of tools in a guarded stream: they come in pieces, and wait until they are whole."""

import re
from itertools import starmap
from typing import Any, Final

import orjson

from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.gateway.chunk import SHAPE, Json

MARK: Final = re.compile(r"[\w.:|-]{0,128}", re.ASCII)
"""What ids are made of."""
MOST_ARGUMENTS: Final = 4_194_304  # characters of calls that wait


class Calls:
    """Those of one choice."""

    __slots__ = ("_by_index", "size")

    def __init__(self) -> None:
        self._by_index: dict[Any, Json] = {}
        """By the engine's index, None for a function of old."""
        self.size = 0
        """Characters of all that came."""

    @property
    def wait(self) -> bool:
        """Whether there are any."""
        return bool(self._by_index)

    def take(self, delta: Json | None) -> bool:
        """Take the pieces out of what a chunk adds; true where it had some."""
        fragments = (delta.pop("tool_calls", None) if delta else None) or []
        old = delta.pop("function_call", None) if delta else None
        for fragment in fragments:
            self._collect(fragment.get("index") or 0, fragment, fragment.get("function") or {})
        if old:
            self._collect(None, {}, old)
        return bool(fragments or old)

    def whole(self) -> tuple[list[Json], bool]:
        """Return them as no more comes, and whether that is a function of old; none are left."""
        old = self._by_index.pop(None, None)
        calls = [*self._by_index.values()] if old is None else [old]
        for call in calls:
            call["function"]["arguments"] = "".join(call.pop("pieces"))
        self.clear()
        return calls, old is not None

    def clear(self) -> None:
        """Forget them."""
        self._by_index.clear()

    def _collect(self, index: int | None, fragment: Json, function: Json) -> None:
        call_id, name, given = fragment.get("id") or "", function.get("name") or "", function.get("arguments") or ""
        if isinstance(given, dict):  # as engines with an API of their own have them
            given = orjson.dumps(given).decode()
        if not MARK.fullmatch(call_id) or not (index is None or isinstance(index, int)):
            raise Malformed(SHAPE)
        known = self._known(index, call_id)
        known["id"] = known["id"] or call_id
        if name != known["function"]["name"]:  # some say it with each piece
            known["function"]["name"] += name
        known["pieces"].append("" + given)
        self.size += len(name) + len(given)
        if self.size > MOST_ARGUMENTS:
            raise Malformed("the engine's stream holds a tool call without end")

    def _known(self, index: int | None, call_id: str) -> Json:
        """Return the call that a piece is of."""
        known = self._by_index.get(index)
        if known is not None and call_id and known["id"] and call_id != known["id"]:  # one index for all
            self._by_index[f"{index} {len(self._by_index)}"] = known
            known = None
            del self._by_index[index]
        if known is None:
            function = {"name": "", "arguments": ""}
            known = self._by_index[index] = {"id": call_id, "type": "function", "function": function, "pieces": []}
        return known


def as_delta(calls: list[Json], *, old: bool) -> Json:
    """Return what a chunk adds that says whole calls."""
    return (
        {"function_call": calls[0]["function"]} if old else {"tool_calls": list(starmap(_numbered, enumerate(calls)))}
    )


def _numbered(number: int, call: Json) -> Json:
    return {"index": number, **call}
