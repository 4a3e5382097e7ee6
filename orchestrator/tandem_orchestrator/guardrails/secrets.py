"""Keys, tokens and passwords: by the forms that those who issue them gave them, and by the names of what they are
assigned to."""

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

from tandem_contract.config import SecretKind

from tandem_orchestrator.guardrails.scan import Rule, RuleFinder

_LONGEST: Final = 256
_PEM_LABEL: Final = r"(?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
_PEM_HEADS: Final = r"(?:\s|\\+[nrt])*(?:(?:Proc-Type|DEK-Info|Version|Comment):[^\n]*\s*)*"
_PEM: Final = (
    rf"-----BEGIN {_PEM_LABEL}{_PEM_HEADS}[A-Za-z0-9+/=]{{16,}}"
    rf"(?:[^-]*(?:-{{1,4}}[^-]+)*-----END {_PEM_LABEL}|[A-Za-z0-9+/=\s\\]*)"
)
_IS: Final = r"""\\?["']?\s{0,3}(?:=>|:=|={1,3}|:)\s{0,3}\\?["']?"""
_SAYS: Final = r"""\s(?:is|ist|est|es|lautet)(?::\s|\s)["']?"""
_VALUE: Final = r"""([^\s"'<>,;\\]+)"""
_NO_VALUE: Final = re.compile(
    r"(?i)^(?:[$%{(\[<*.#_-]|/[a-z]+/|https?:|(?:your|my|the|some|any|this)[_-]|[a-z_.]{3,}[(\[{]"
    r"|(?:process|os|env|config|settings|self|args|secrets?|values)\.|(.)\1*$)"
    r"|example|placeholder|redacted|change_?me|dummy|\*{3,}|x{4,}|\.{3}"
)
"""What stands for a value: variables, calls, paths, and words and signs of samples."""
_PASSWORD: Final = range(6, 129)
_KEY: Final = range(16, 513)
_LEAST_ENTROPY: Final = 3.0
"""Bits for each character. Keys by chance have 3.5 or more, words of a language about 2.5."""


def _is_random(text: str) -> bool:
    """Tell whether it could be drawn by chance: it has letters and digits, and has few of them often."""
    counts = Counter(text).values()
    entropy = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    return _has_digit(text) and any(map(str.isalpha, text)) and entropy >= _LEAST_ENTROPY


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def _is_key(text: str) -> bool:
    return len(text) in _KEY and not _stands_for_one(text) and _is_random(text)


def _is_password(text: str) -> bool:
    """Tell a password from words and types: it has a digit and something else, or three kinds of characters."""
    if len(text) not in _PASSWORD or _stands_for_one(text):
        return False
    letters = any(map(str.islower, text)), any(map(str.isupper, text))
    others = any(map("!@#$%^&*?~+=|".__contains__, text))
    return (_has_digit(text) and (any(letters) or others)) or (all(letters) and others)


def _stands_for_one(text: str) -> bool:
    return _NO_VALUE.search(text) is not None


def _is_literal(text: str) -> bool:
    return not _stands_for_one(text)


KNOWN: Final = (
    Rule(SecretKind.PRIVATE_KEY, _PEM),
    Rule(SecretKind.AWS_ACCESS_KEY, r"(?:\b|_)((?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16})(?:\b|_)"),
    Rule(SecretKind.ANTHROPIC_API_KEY, r"\bsk-ant-[a-z]+[0-9]+-[A-Za-z0-9_\-]{32,}", _is_random),
    Rule(
        SecretKind.OPENAI_API_KEY,
        r"\bsk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{40,}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48})",
        _is_random,
    ),
    Rule(SecretKind.GITHUB_TOKEN, r"\b(?:gh[opusr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})"),
    Rule(
        SecretKind.GITLAB_TOKEN,
        r"\b(?:gl(?:pat|ptt|dt|rt|cbt|soat|imt|agent|ft|oas|ffct)-[A-Za-z0-9_\-]{20,}(?:\.[A-Za-z0-9_.\-]+)?"
        r"|GR1348941[A-Za-z0-9_\-]{20,})",
        _is_random,
    ),
    Rule(
        SecretKind.SLACK_TOKEN,
        r"\b(?:xox[abeoprs]-(?:[A-Za-z0-9]+-){0,5}[A-Za-z0-9]{10,}|xapp-[0-9]-[A-Z0-9]+-[0-9]+-[a-z0-9]{32,}"
        r"|https://hooks\.slack\.com/(?:services|workflows|triggers)/T[A-Z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9/]{16,})",
        _has_digit,
    ),
    Rule(
        SecretKind.STRIPE_KEY, r"\b(?:(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}=*)", _is_random
    ),
    Rule(
        SecretKind.GOOGLE_API_KEY,
        r"\b(?:AIza[A-Za-z0-9_\-]{35}|GOCSPX-[A-Za-z0-9_\-]{28}|ya29\.[A-Za-z0-9_\-]{30,}|1//0[A-Za-z0-9_\-]{40,})",
        _is_random,
    ),
    Rule(
        SecretKind.AZURE_KEY,
        r"(?:AccountKey|SharedAccessKey|AccessKey)=([A-Za-z0-9+/]{40,}={0,2})|\b[A-Za-z0-9]{3}[78]Q~[A-Za-z0-9_.~\-]{31,34}"
        r"|\bsv=20[0-9-]{8}&(?:[a-z]{2,6}=[^&\s]{0,64}&){0,12}sig=([A-Za-z0-9%+/]{40,}=?)",
        _is_random,
    ),
    Rule(SecretKind.HUGGING_FACE_TOKEN, r"\b(?:hf_[A-Za-z]{34}|hf_[A-Za-z0-9]{34,40}|api_org_[A-Za-z0-9]{34})\b"),
    Rule(SecretKind.NPM_TOKEN, r"\bnpm_[A-Za-z0-9]{36}"),
    Rule(SecretKind.PYPI_TOKEN, r"\bpypi-AgE[A-Za-z0-9_\-]{50,}"),
    Rule(SecretKind.JWT, r"\beyJ[A-Za-z0-9_\-]{8,200}\.eyJ[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)?"),
    Rule(
        SecretKind.URL_PASSWORD,
        r"\b[a-z][a-z0-9+]*://[^\s/:@?#\"'<>]{0,64}:([^\s/@?#\"'<>]{3,128})@[A-Za-z0-9\[]",
        _is_literal,
    ),
    Rule(
        SecretKind.AWS_SECRET_KEY,
        r"(?i)(?:aws|amazon)[a-z0-9_.\-]{0,16}(?:secret|key)[a-z0-9_.\-]{0,16}"
        + _IS
        + r"([A-Za-z0-9+/]{40})(?:[^A-Za-z0-9+/=]|$)",
        _is_random,
    ),
)
"""What whoever sees it knows."""
ASSIGNED: Final = (
    Rule(
        SecretKind.PASSWORD,
        r"(?i)(?:passw(?:or)?d|passwort|kennwort|passphrase|mot de passe|contrase[ñn]a|pwd)[a-z0-9_]{0,24}"
        rf"(?:{_IS}|{_SAYS}|\s(?:is|ist|est|es|lautet){_IS}){_VALUE}",
        _is_password,
    ),
    Rule(
        SecretKind.API_KEY,
        r"(?i)(?:secret[_\-]?key|secret|token|(?:api|access|auth|private)[_\-]?key|credentials?)"
        rf"(?:s|[_\-][a-z0-9_]{{0,24}})?{_IS}(?:(?:bearer|basic|token) )?{_VALUE}",
        _is_key,
    ),
    Rule(
        SecretKind.API_KEY,
        rf"(?i)\bauthorization\b{_IS}(?:bearer|basic|token) +([A-Za-z0-9+/=_.~\-]+)",
        _is_key,
    ),
)
"""What is told by the name that it is given."""


class SecretFinder(RuleFinder):
    """Finds secrets of some kinds."""

    def __init__(self, kinds: Iterable[SecretKind]) -> None:
        wanted = frozenset(kinds) or frozenset(SecretKind)
        super().__init__(([rule for rule in rules if rule.kind in wanted] for rules in (KNOWN, ASSIGNED)), _LONGEST)
