"""Secrets in foreign text: more people may read an LLMService than Secrets and logs. Each pattern takes linear time."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Final

from tandem_operator.api.text import shortened

LONGEST_QUOTE: Final = 512

_MASK: Final = "***"
_LONGEST_TEXT: Final = 65_536

_NAME: Final = (
    r"(?:passw(?:or)?d|passphrase|(?<![a-z])pass|pwd|secret|token|credentials?|authorization|cookie|signature"
    r"|(?<![a-z])sig|(?:api|access|account|private|secret|shared|master)[_-]?key)"
)
_QUOTED: Final = r"""\\?"(?:[^"\\\n]|\\.)*+"?|\\?'(?:[^'\\\n]|\\.)*+'?"""
_UNQUOTED: Final = r"(?:(?:bearer|basic|digest|token)\s+)?[^\s&]+"
_KNOWN: Final = (
    r"hf_\w{8,}|gh[a-z]_\w{16,}|github_pat_\w{16,}|A[KS]IA[A-Z0-9]{12,}|AIza[\w-]{20,}"
    r"|(?:sk|pk|rk|gsk|tvly|nvapi|glpat|npm|pypi|ya29|xapp|xox[a-z])[-_.][\w-]{12,}"
    r"|eyJ[\w-]{8,}\.[\w-]{2,}(?:\.[\w-]*)?"
)
"""Tokens that are known by their beginning."""
_PRIVATE_KEY: Final = r"[A-Z ]{0,32}PRIVATE KEY-----"
_PATTERNS: Final = (
    # a private key, whole or without its beginning or end
    rf"()(?:-----BEGIN {_PRIVATE_KEY}|\A)(?:(?!-----)[\s\S])*+-----END {_PRIVATE_KEY}",
    rf"()-----BEGIN {_PRIVATE_KEY}[\s\S]*",
    # scheme://user:password@host, scheme://token@host, user:password@host; no image@sha256:digest
    r"""([A-Za-z0-9]://[^\s/:@]{0,256}:)[^\s"]{1,1024}(?=@(?!sha\d))""",
    r"""([A-Za-z0-9]://)[^\s/:@"]{1,1024}(?=@)""",
    r"""(?<![\w./:-])([\w.-]{1,64}:)[^\s/:@"]{1,256}(?=@(?!sha\d))""",
    # name=value, name: value, --name value
    rf"""(?i)((?:{_NAME}[\\"'\]]{{0,4}}\s{{0,8}}+[=:]>?|[_-]key\s?=)\s{{0,8}}+)(?:{_QUOTED}|{_UNQUOTED})""",
    rf"""(?i)(--[a-z_-]{{0,32}}(?:{_NAME}|-key)["']?,?\s)(?:{_QUOTED}|\S+)""",
    r"(?i)(\bbearer\s)\S{8,}",
    rf"()(?<![A-Za-z0-9])(?:{_KNOWN})",
)
_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]{0,32}[A-Za-z]")
"""What loggers put around names and values for a terminal."""
_SECRETS: Final = tuple(map(re.compile, _PATTERNS))
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9_+/=-]{32,}")
_KINDS: Final[tuple[Callable[[str], bool], ...]] = (str.isupper, str.islower, str.isdigit)
_TURNS: Final = 0.4
"""How often one kind of character follows another: less in names, more in what is random."""


def quoted(text: str, longest: int = LONGEST_QUOTE) -> str:
    """Return foreign text for a message; it is masked before it is cut, as half of a secret looks like none."""
    return shortened(masked(text), longest)


def masked(text: str) -> str:
    """Return foreign text without what looks like a secret, and without the end of what is longer than any message."""
    if len(text) > _LONGEST_TEXT:
        text = _without_last_word(text[:_LONGEST_TEXT])
    text = _COLOUR.sub("", text)
    for secret in _SECRETS:
        text = secret.sub(rf"\1{_MASK}", text)
    return _LONG_WORD.sub(lambda word: _MASK if _is_random(word[0]) else word[0], text)


def _without_last_word(text: str) -> str:
    words = text.rsplit(maxsplit=1)
    return words[0] if len(words) > 1 else ""


def _is_random(word: str) -> bool:
    kinds = [next((kind for kind in _KINDS if kind(each)), None) for each in word]
    turns = sum(one is not other for one, other in pairwise(kinds) if one and other)
    return set(kinds).issuperset(_KINDS) and turns > _TURNS * len(word)
