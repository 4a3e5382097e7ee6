"""The texts in a document, each with where it stands, so that it can be replaced there. Does no I/O.

Every string is a text, whatever field it is in, as engines know more fields than anybody here: what is left out is what
no model reads.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from tandem_contract.config import GuardedText

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.masking import masked

ARGUMENTS: Final = "arguments"
"""Field of a tool call that holds JSON as a text."""
CONTENT: Final = "content"
PROPERTIES: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
"""Fields of a JSON schema whose names are an author's own words."""
WORDS: Final = {
    "role": frozenset({"system", "developer", "user", "assistant", "tool", "function"}),
    "type": frozenset(
        {"text", "refusal", "thinking", "function", "tool_use", "json_schema", "json_object"}
        | {"object", "array", "string", "number", "integer", "boolean", "null"}
    ),
}
"""Values that are the API's own words."""
IDS: Final = frozenset({"id", "tool_call_id"})
ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST_DEPTH: Final = 128  # of JSON in arguments
MOST_TEXTS: Final = 50_000  # which take a twentieth of a second to collect
OPAQUE: Final = frozenset(
    {
        "audio_embeds",
        "audio_url",
        "file",
        "image_embeds",
        "image_pil",
        "image_url",
        "input_audio",
        "multimodal_data",
        "prompt_embeds",
        "video_url",
    }
)
"""Fields of what is asked that may say something which is no text."""


@dataclass(slots=True, eq=False)
class Text:
    """A text at `holder[key]`, or a name, which has no holder and cannot be replaced."""

    on: GuardedText
    text: str
    path: str
    holder: Any = None
    key: Any = None
    spans: list[Span] = field(default_factory=list)
    """What is to be masked."""


@dataclass(slots=True)
class Texts:
    """All texts of a document."""

    all: list[Text] = field(default_factory=list)
    split: list[list[Text]] = field(default_factory=list)
    """Those that a model reads as one."""
    unseen: list[tuple[GuardedText, str]] = field(default_factory=list)
    """Paths of what cannot be looked into."""
    _packed: list[tuple[Any, Any]] = field(default_factory=list)
    """JSON that stands in a call's arguments: who holds it, and what it says."""

    _in_parts: bool = False

    def take(self, holder: Any, key: Any, path: str, on: GuardedText, *, asked: bool = False) -> None:
        """Add all texts in `holder[key]`, which stands at `path`; of what is `asked`, note also what is no text."""
        value = holder[key]
        if isinstance(value, str):
            if key == ARGUMENTS and self._unpack(holder, path, on):
                return
            if value and not (value in WORDS.get(key, ()) or (key in IDS and ID.fullmatch(value))):
                self.all.append(Text(on, value, path, holder, key))
        elif isinstance(value, dict):
            self._object(value, path, on, asked=asked, named=key in PROPERTIES)
        elif isinstance(value, list):
            self._list(value, path, on, asked=asked, content=key == CONTENT)

    def mask(self) -> bool:
        """Replace what is to be masked; return whether anything was."""
        marked = [text for text in self.all if text.spans]
        for text in marked:
            text.holder[text.key] = masked(text.text, text.spans)
        for holder, document in self._packed if marked else ():
            holder[ARGUMENTS] = json.dumps(document, ensure_ascii=False)
        return bool(marked)

    def _object(self, value: dict[str, Any], path: str, on: GuardedText, *, asked: bool, named: bool) -> None:
        for name in value:
            where = f"{path}.{name}"
            if named:
                self.all.append(Text(on, name, where))
            if asked and name in OPAQUE:
                self.unseen.append((on, where))
            else:
                self.take(value, name, where, on, asked=asked)

    def _list(self, value: list[Any], path: str, on: GuardedText, *, asked: bool, content: bool) -> None:
        before, parts = len(self.all), content and not self._in_parts
        self._in_parts |= parts
        for n, each in enumerate(value):
            if isinstance(each, str | dict | list):
                self.take(value, n, f"{path}.{n}", on, asked=asked)
            elif asked and isinstance(each, int):  # a prompt in tokens
                self.unseen.append((on, path))
                break
        if len(self.all) > MOST_TEXTS:
            raise BadRequest(f"guardrails judge {MOST_TEXTS} texts of a request; send several", code="too_many_values")
        if parts:
            self._in_parts = False
            if len(self.all) - before > 1:
                self.split.append(self.all[before:])

    def _unpack(self, holder: dict[str, Any], path: str, on: GuardedText) -> bool:
        """Add the texts in a call's arguments, as who reads them understands JSON; false where they are none."""
        before = len(self.all)
        try:
            orjson.loads(holder[ARGUMENTS])  # is stricter: half a surrogate pair is no text
            document = json.loads(holder[ARGUMENTS], object_pairs_hook=_unique)
            self._within(document, path, on, MOST_DEPTH)
        except _Twice:
            self.unseen.append((on, path))
            return True
        except ValueError:
            return False
        except RecursionError:
            del self.all[before:]
            self.unseen.append((on, path))
            return True
        self._packed.append((holder, document))
        return isinstance(document, dict | list)

    def _within(self, document: Any, path: str, on: GuardedText, depth: int) -> None:
        """Add the texts in what a call is given, names and all, down to a depth. Raises `RecursionError`."""
        if not depth:
            raise RecursionError
        if isinstance(document, dict):
            self.all += (Text(on, name, f"{path}.{name}") for name in document)
        elif not isinstance(document, list):
            return
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            if not isinstance(value, str):
                self._within(value, f"{path}.{key}", on, depth - 1)
            elif value:
                self.all.append(Text(on, value, f"{path}.{key}", document, key))


class _Twice(ValueError):
    """An object has two values of one name, and which one counts is for its reader to say."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found
