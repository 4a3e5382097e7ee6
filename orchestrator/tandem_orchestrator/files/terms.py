"""What a client says of a file besides its bytes: name, purpose, when it expires."""

import unicodedata
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final, NamedTuple

from tandem_orchestrator.errors import BadRequest

LINES: Final = (".jsonl",)
IMAGES: Final = (".gif", ".jpeg", ".jpg", ".png", ".webp")
PURPOSES: Final[Mapping[str, tuple[str, ...]]] = {
    "assistants": (),
    "batch": LINES,
    "evals": LINES,
    "fine-tune": LINES,
    "user_data": (),
    "vision": IMAGES,
}
"""Purpose -> endings that a file's name may have; any, where there are none."""
BATCH_SECONDS: Final = 30 * 86_400  # how long files for batches are kept unless they say otherwise, as at OpenAI
SECONDS: Final = range(3600, 2_592_000 + 1)
ANCHOR: Final = "created_at"
MOST_NAME_BYTES: Final = 255
UNNAMED: Final = "file"


class Terms(NamedTuple):
    """What holds for a new file."""

    filename: str
    purpose: str
    seconds: int | None
    """After how long it expires."""

    def expires(self, created: int) -> int | None:
        """Return when it expires, in milliseconds."""
        return None if self.seconds is None else created + self.seconds * 1000


def checked(filename: str, purpose: Any, expires_after: Any) -> Terms:
    """Return the terms of a file. Raises `BadRequest`."""
    name = cleaned(filename)
    endings = PURPOSES[checked_purpose(purpose)]
    if endings and PurePosixPath(name).suffix.lower() not in endings:
        raise BadRequest(
            f"files with the purpose {purpose} have names that end with {', '.join(endings)}, which {name!r} does not",
            param="file",
            code="unsupported_file",
        )
    seconds = _seconds(expires_after)
    return Terms(name, purpose, BATCH_SECONDS if seconds is None and purpose == "batch" else seconds)


def checked_purpose(purpose: Any) -> str:
    """Return a purpose that clients may name. Raises `BadRequest`."""
    if not isinstance(purpose, str) or purpose not in PURPOSES:
        raise BadRequest(f"`purpose` must be one of {', '.join(PURPOSES)}", param="purpose", code="invalid_purpose")
    return purpose


def cleaned(filename: str) -> str:
    """Return the last part of a name, without what is not to be seen and not longer than 255 bytes in UTF-8.

    It is shown and handed on, and never a path here.
    """
    last = filename.replace("\\", "/").rpartition("/")[2]
    seen = "".join(character for character in last if unicodedata.category(character)[0] != "C").strip()
    if not seen.strip("."):
        return UNNAMED
    ending = _cut(PurePosixPath(seen).suffix, 32)
    stem = seen.removesuffix(ending) if seen.endswith(ending) else seen
    return _cut(stem, MOST_NAME_BYTES - len(ending.encode())) + ending


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _seconds(expires_after: Any) -> int | None:
    if expires_after is None:
        return None
    if not isinstance(expires_after, dict) or expires_after.get("anchor") != ANCHOR:
        raise BadRequest(f"`expires_after.anchor` must be {ANCHOR!r}", param="expires_after.anchor")
    seconds = expires_after.get("seconds")
    if isinstance(seconds, str) and seconds.isdecimal() and seconds.isascii() and len(seconds) < len("10000000"):
        seconds = int(seconds)  # in a form, all are texts
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds not in SECONDS:
        problem = f"`expires_after.seconds` must be a number from {SECONDS.start} to {SECONDS.stop - 1}"
        raise BadRequest(problem, param="expires_after.seconds")
    return seconds
