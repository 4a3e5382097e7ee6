"""Keys, tokens and passwords: by the forms that those who issue them gave them, and by the names of what they are
assigned to."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from tandem_contract.config import SecretKind

from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.looked_at import LookedAt
from tandem_orchestrator.guardrails.scan import Rule, Scan, together

LONGEST: Final = 256
"""Enough for the beginning of every form: longer ones are known by their first characters."""
_KEY_BODY: Final = r"(?:\s|\\r|\\n|\\t)*(?:(?:Proc-Type|DEK-Info|Version|Comment):[^\n]*\s*)*[A-Za-z0-9+/=]{16,}"
_PEM: Final = (
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----" + _KEY_BODY + r"(?:"
    r"[^-]*(?:-{1,4}[^-]+)*-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]*)"
)
_IS: Final = r"""\\?["']?\s{0,3}(?:=>|:=|={1,3}|:)\s{0,3}\\?["']?"""
_VALUE: Final = r"""([^\s"'<>,;\\]+)"""


def _letters(text: str) -> bool:
    """Tell whether it could be drawn by chance: letters and digits, and few of them twice."""
    return any(map(str.isdigit, text)) and any(map(str.isalpha, text)) and _entropy(text) >= 3


def _entropy(text: str) -> float:
    """Return bits for each character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


_PLACEHOLDER: Final = re.compile(
    r"(?i)^(?:[$%{(\[<*.#x_-]|your|my|the|some|any|this|process\.|os\.|env|getenv|config|settings|self\.|args|secrets?\.)"
    r"|[({\[]|example|placeholder|redacted|changeme|change_me|dummy|^(.)\1*$|\*{3,}|x{4,}|\.{3}|^https?:"
)


def _password(text: str) -> bool:
    """Tell a password from words of a sentence, types and what stands for one."""
    if not 6 <= len(text) <= 128 or _PLACEHOLDER.search(text):
        return False
    kinds = sum(any(map(test, text)) for test in (str.isdigit, str.islower, str.isupper, _is_sign))
    return kinds >= 3 or (kinds == 2 and any(map(str.isdigit, text)))


def _is_sign(character: str) -> bool:
    return character in "!@#$%^&*?~+=|"


def _key(text: str) -> bool:
    """Tell whether it could be a key that a machine made."""
    return 16 <= len(text) <= 512 and not _PLACEHOLDER.search(text) and _letters(text)


def _url_password(text: str) -> bool:
    return not _PLACEHOLDER.search(text)


KNOWN: Final = (
    Rule(SecretKind.PRIVATE_KEY, _PEM),
    Rule(SecretKind.AWS_ACCESS_KEY, r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    Rule(SecretKind.ANTHROPIC_API_KEY, r"\bsk-ant-[a-z]+[0-9]+-[A-Za-z0-9_\-]{32,}", _letters),
    Rule(
        SecretKind.OPENAI_API_KEY,
        r"\bsk-(?:(?:proj|svcacct|admin|None)-[A-Za-z0-9_\-]{40,}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48})",
        _letters,
    ),
    Rule(SecretKind.GITHUB_TOKEN, r"\b(?:gh[opusr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})"),
    Rule(
        SecretKind.GITLAB_TOKEN,
        r"\b(?:gl(?:pat|ptt|dt|rt|cbt|soat|imt|agent|ft|oas|ffct)-[A-Za-z0-9_\-]{20,}(?:\.[A-Za-z0-9_.\-]+)?|GR1348941[A-Za-z0-9_\-]{20,})",
        _letters,
    ),
    Rule(
        SecretKind.SLACK_TOKEN,
        r"\b(?:xox[abeoprs]-(?:[A-Za-z0-9]+-){0,5}[A-Za-z0-9]{10,}|xapp-[0-9]-[A-Z0-9]+-[0-9]+-[a-z0-9]{32,}"
        r"|https://hooks\.slack\.com/(?:services|workflows|triggers)/T[A-Z0-9]+/[A-Za-z0-9]+/[A-Za-z0-9/]{16,})",
        lambda text: any(map(str.isdigit, text)),
    ),
    Rule(SecretKind.STRIPE_KEY, r"\b(?:(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/]{24,}=*)", _letters),
    Rule(
        SecretKind.GOOGLE_API_KEY,
        r"\b(?:AIza[A-Za-z0-9_\-]{35}|GOCSPX-[A-Za-z0-9_\-]{28}|ya29\.[A-Za-z0-9_\-]{30,}|1//0[A-Za-z0-9_\-]{40,})",
        _letters,
    ),
    Rule(
        SecretKind.AZURE_KEY,
        r"(?:AccountKey|SharedAccessKey|AccessKey)=([A-Za-z0-9+/]{40,}={0,2})|\b[A-Za-z0-9]{3}[78]Q~[A-Za-z0-9_.~\-]{31,34}"
        r"|\bsv=20[0-9-]{8}&(?:[a-z]{2,6}=[^&\s]{0,64}&){0,12}sig=([A-Za-z0-9%+/]{40,}=?)",
        _letters,
    ),
    Rule(SecretKind.HUGGING_FACE_TOKEN, r"\b(?:hf_[A-Za-z]{34}|hf_[A-Za-z0-9]{34,40}|api_org_[A-Za-z0-9]{34})\b"),
    Rule(SecretKind.NPM_TOKEN, r"\bnpm_[A-Za-z0-9]{36}"),
    Rule(SecretKind.PYPI_TOKEN, r"\bpypi-AgE[A-Za-z0-9_\-]{50,}"),
    Rule(SecretKind.JWT, r"\beyJ[A-Za-z0-9_\-]{8,200}\.eyJ[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)?"),
    Rule(
        SecretKind.URL_PASSWORD,
        r"\b[a-z][a-z0-9+]*://[^\s/:@?#\"'<>]{0,64}:([^\s/@?#\"'<>]{3,128})@[A-Za-z0-9\[]",
        _url_password,
    ),
    Rule(
        SecretKind.AWS_SECRET_KEY,
        r"(?i)(?:aws|amazon)[a-z0-9_.\-]{0,16}(?:secret|key)[a-z0-9_.\-]{0,16}" + _IS + r"([A-Za-z0-9+/]{40})(?:[^A-Za-z0-9+/=]|$)",
        _letters,
    ),
)
"""What whoever sees it knows."""
ASSIGNED: Final = (
    Rule(
        SecretKind.PASSWORD,
        r"(?i)(?:passw(?:or)?d|passwort|kennwort|passphrase|mot de passe|contrase(?:ñ|n)a|pwd)[a-z0-9_]{0,24}"
        + r"(?: (?:is|ist|est|es|lautet))?" + _IS + _VALUE,
        _password,
    ),
    Rule(
        SecretKind.API_KEY,
        r"(?i)(?:secret|token|api[_\-]?key|access[_\-]?key|auth[_\-]?key|private[_\-]?key|credentials?|apikey)[a-z0-9_]{0,24}"
        + _IS + r"(?:(?:bearer|basic|token) )?" + _VALUE,
        _key,
    ),
    Rule(SecretKind.API_KEY, r"(?i)\bauthorization\b" + _IS + r"(?:bearer|basic|token) +([A-Za-z0-9+/=_.~\-]+)", _key),
)
"""What is told by the name that it is given."""


class SecretFinder:
    """Finds secrets of some kinds."""

    longest = LONGEST

    def __init__(self, kinds: Iterable[SecretKind]) -> None:
        wanted = frozenset(kinds) or frozenset(SecretKind)
        families = ([rule for rule in rules if rule.kind in wanted] for rules in (KNOWN, ASSIGNED))
        self._scans: Final = tuple(Scan(rules) for rules in families if rules)

    def find(self, text: str) -> Sequence[Span]:
        looked = LookedAt(text)
        return looked.spans(together(scan.found(looked.data) for scan in self._scans))
