"""What belongs to a person: by its form, and wherever it has a checksum, by that."""

import ipaddress
import re
from collections.abc import Iterable
from types import ModuleType
from typing import Final

import phonenumbers
from stdnum import iban, luhn
from stdnum.be import nn as belgian
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as swiss
from stdnum.cn import ric
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.pl import pesel
from stdnum.se import personnummer
from stdnum.us import ssn
from tandem_contract.config import PersonalDataKind

from tandem_orchestrator.guardrails.scan import INNOCENT, Holds, Rule, RuleFinder

_LONGEST: Final = 384
"""An e-mail address: 64 characters, @ and 255; and what is around it."""
_LETTERS: Final = r"A-Za-z0-9\x{C0}-\x{24F}\x{370}-\x{52F}"
_NO_MAIL: Final = frozenset(
    {
        "css",
        "gif",
        "git",
        "html",
        "jpeg",
        "jpg",
        "js",
        "json",
        "png",
        "py",
        "service",
        "socket",
        "svg",
        "target",
        "webp",
    }
)
_CARDS: Final = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|(?:222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-5]|[689]\d)\d{11}|35(?:2[89]|[3-8]\d)\d{12}|6(?:011|4[4-9]\d|5\d{2})\d{12}|62\d{14,17}|(?:50|5[6-8]|6[379])\d{14}"
)
"""Numbers that networks of cards issue (ISO/IEC 7812): Visa, Mastercard, American Express, Diners Club, JCB, Discover,
UnionPay, Maestro."""
_COLONS: Final = 3
_DIGITS: Final = 4
_MRZ: Final = re.compile(r"([A-Z0-9<]{9})(\d)[A-Z<]{3}(\d{6})(\d)[MFX<](\d{6})(\d)[A-Z0-9<]{14}[\d<]\d")


def _checked_by(*numbers: ModuleType) -> Holds:
    def holds(text: str) -> bool:
        return any(number.is_valid(text.replace(" ", "")) for number in numbers)

    return holds


def _email(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return local != "git" and domain.rpartition(".")[2].lower() not in _NO_MAIL and ".." not in text


def _card(text: str) -> bool:
    digits = re.sub(r"[ .-]", "", text)
    return _CARDS.fullmatch(digits) is not None and bool(luhn.is_valid(digits)) and len(set(digits)) > 1


def _account(text: str) -> bool:
    return bool(iban.is_valid(text, check_country=False))


def _address(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        looks_like_another = all(len(number) == 1 for number in text.split("."))  # as versions and sections do
    else:
        looks_like_another = text.count(":") < _COLONS or not any(map(str.isdigit, text))  # as fe::add does
    if looks_like_another:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_reserved)


def _phone_of(*regions: str) -> Holds:
    def holds(text: str) -> bool:
        return any(_is_phone(text, region) for region in regions)

    return holds


def _is_phone(text: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def _abroad(text: str) -> bool:
    return _is_phone(re.sub(r"^00", "+", text).replace("(0)", ""), "ZZ")


def _passport(text: str) -> bool:
    if (line := _MRZ.fullmatch(text)) is None:
        return False
    parts = line.groups()
    return all(_check_digit(part) == int(digit) for part, digit in zip(parts[::2], parts[1::2], strict=True))


def _check_digit(part: str) -> int:
    """Return the check digit of ICAO 9303."""
    values = (0 if character == "<" else int(character, 36) for character in part)
    return sum(value * (7, 3, 1)[at % 3] for at, value in enumerate(values)) % 10


def _british(text: str) -> bool:
    return text[:2].upper() not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


_ANYWHERE: Final = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "AT", "CH")
_CALL: Final = (
    r"(?i)\b(?:t[eé]l(?:efon|[eé]fono|[eé]phone|ephone)?|phone|mobile?|handy|cell|fax|rufnummer"
    r"|call(?: me)?(?: (?:at|on))?)(?: (?:number|no|nr)\.?)?[.:]?\s{0,2}"
)
_NUMBER: Final = r"(?:number|no\.?|nr\.?|nummer|num[eé]ro|n[uú]mero)?(?: is| ist| est| es)?[.:#]?\s{0,2}"
RULES: Final = (
    Rule(INNOCENT, r"://[A-Za-z0-9_.\-]{0,32}:[^\s/@:\"'<>]{1,64}@[A-Za-z0-9.\-]+"),
    Rule(
        INNOCENT,
        r"(?i)(?:\bversions?\s|\brelease\s|\bv|[=~<>]=\s?|\bbuild\s)\d{1,5}(?:\.\d{1,6}){2,5}"
        r"|\b\d{1,5}(?:\.\d{1,6}){4,6}\b",
    ),
    Rule(
        PersonalDataKind.EMAIL_ADDRESS,
        rf"[{_LETTERS}._%+\-]{{1,64}}@[{_LETTERS}\-]{{1,63}}(?:\.[{_LETTERS}\-]{{1,63}}){{0,6}}\.[{_LETTERS}]{{2,24}}",
        _email,
    ),
    Rule(
        PersonalDataKind.CREDIT_CARD,
        r"\b(?:[456]\d{3}|2[2-7]\d{2}|35\d{2})(?:[ .\-]{0,2}\d{4}){2}[ .\-]{0,2}\d{1,4}(?:[ .\-]{0,2}\d{3})?\b"
        r"|\b3[47]\d{2}[ .\-]{0,2}\d{6}[ .\-]{0,2}\d{5}\b|\b3[0689]\d{2}[ .\-]{0,2}\d{6}[ .\-]{0,2}\d{4}\b",
        _card,
    ),
    Rule(
        PersonalDataKind.IBAN,
        r"(?i)\b[A-Z]{2}\d{2} ?[A-Z0-9]{4}(?: ?[A-Z]{0,3}\d[A-Z0-9]{0,6}){1,10}\b",
        _account,
    ),
    Rule(PersonalDataKind.US_SSN, r"\b\d{3}-\d{2}-\d{4}\b", _checked_by(ssn)),
    Rule(
        PersonalDataKind.US_SSN,
        r"(?i)\b(?:ssn|social security) ?" + _NUMBER + r"(\d{3}[ \-]?\d{2}[ \-]?\d{4})\b",
        _checked_by(ssn),
    ),
    Rule(
        PersonalDataKind.PASSPORT, r"\b[A-Z0-9][A-Z0-9<]{8}\d[A-Z<]{3}\d{7}[MFX<]\d{7}[A-Z0-9<]{14}[\d<]\d\b", _passport
    ),
    Rule(
        PersonalDataKind.PASSPORT,
        r"(?i)\b(?:passports?|reisepass|passeport|pasaporte) ?"
        + _NUMBER
        + r"([A-Z]{0,2}\d{6,9}[A-Z]?|[CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8})\b",
        lambda text: sum(map(str.isdigit, text)) >= _DIGITS,
    ),
    Rule(
        PersonalDataKind.NATIONAL_ID, r"(?i)\b(?:\d{8}[ \-]?[A-Z]|[XYZ][ \-]?\d{7}[ \-]?[A-Z])\b", _checked_by(dni, nie)
    ),
    Rule(
        PersonalDataKind.NATIONAL_ID,
        r"(?i)\b[A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]\b",
        _checked_by(codicefiscale),
    ),
    Rule(
        PersonalDataKind.NATIONAL_ID,
        r"\b[12] ?\d{2} ?\d{2} ?\d[\dAB] ?\d{3} ?\d{3} ?\d{2}\b",
        _checked_by(nir),
    ),
    Rule(PersonalDataKind.NATIONAL_ID, r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b", _checked_by(cpf)),
    Rule(PersonalDataKind.NATIONAL_ID, r"\b\d{17}[\dXx]\b", _checked_by(ric)),
    Rule(PersonalDataKind.NATIONAL_ID, r"\b[2-9]\d{3}[ \-]\d{4}[ \-]\d{4}\b", _checked_by(aadhaar)),
    Rule(PersonalDataKind.NATIONAL_ID, r"\b(?:\d{2})?\d{6}[\-+]\d{4}\b", _checked_by(personnummer)),
    Rule(PersonalDataKind.NATIONAL_ID, r"\b\d{6}[\-+A]\d{3}[0-9A-FHJ-NPR-Y]\b", _checked_by(hetu)),
    Rule(PersonalDataKind.NATIONAL_ID, r"\b\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}\b", _checked_by(belgian)),
    Rule(PersonalDataKind.NATIONAL_ID, r"\b756\.\d{4}\.\d{4}\.\d{2}\b", _checked_by(swiss)),
    Rule(
        PersonalDataKind.NATIONAL_ID,
        r"(?i)\b[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b",
        _british,
    ),
    Rule(
        PersonalDataKind.NATIONAL_ID,
        r"(?i)\b(?:pesel|bsn|burgerservicenummer|steuer-?id(?:nr|entifikationsnummer)?|idnr|sin|social insurance) ?"
        + _NUMBER
        + r"(\d(?:[ \-]?\d){8,10})\b",
        _checked_by(pesel, bsn, idnr, sin),
    ),
    Rule(
        PersonalDataKind.PHONE_NUMBER, r"(?:\+|\b00)[1-9]\d{0,2}(?:[ .\-/]{0,2}(?:\(\d{1,4}\)|\d{1,6})){1,7}\b", _abroad
    ),
    Rule(PersonalDataKind.PHONE_NUMBER, _CALL + r"(\+?\(?\d(?:[ .()\-/]{0,2}\d){6,14})\b", _phone_of(*_ANYWHERE)),
    Rule(
        PersonalDataKind.PHONE_NUMBER,
        r"(?:\(\d{3}\) ?|\b\d{3}[.\-])\d{3}[.\-]\d{4}\b|\b1[.\-]\d{3}[.\-]\d{3}[.\-]\d{4}\b",
        _phone_of("US"),
    ),
    Rule(
        PersonalDataKind.PHONE_NUMBER,
        r"\b0\d(?:[ .]\d{2}){4}\b|(?:\b0\d{2,4}|\(0\d{2,4}\))[ /\-]{1,3}\d{3,4}[ \-]?\d{3,5}\b|\b07\d{3}[ ]?\d{6}\b",
        _phone_of("FR", "GB", "DE"),
    ),
    Rule(PersonalDataKind.PHONE_NUMBER, r"\b[67]\d{2} \d{3} \d{3}\b|\b[67]\d{2} \d{2} \d{2} \d{2}\b", _phone_of("ES")),
    Rule(
        PersonalDataKind.IP_ADDRESS,
        r"\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}",
        _address,
    ),
)


class PersonalDataFinder(RuleFinder):
    """Finds personal data of some kinds."""

    def __init__(self, kinds: Iterable[PersonalDataKind]) -> None:
        wanted = frozenset(kinds) or frozenset(PersonalDataKind)
        super().__init__([[rule for rule in RULES if rule.kind in wanted or rule.kind == INNOCENT]], _LONGEST)
