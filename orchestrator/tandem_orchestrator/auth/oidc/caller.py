"""Who shows a token, and what its claims allow. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError
from tandem_contract.config import Issuer, KeyLimits

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.auth.refusal import not_allowed
from tandem_orchestrator.auth.terms import Label
from tandem_orchestrator.errors import Forbidden

DIGITS: Final = 20
LABEL: Final[TypeAdapter[str]] = TypeAdapter(Label)
MOST_NAMES: Final = 256


@dataclass(frozen=True, slots=True)
class Grant:
    """What the claims of a token say, `None` where they say nothing."""

    tenant: str | None = None
    models: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None
    plan: str | None = None


def key_id(issuer: str, subject: str) -> str:
    """Return what names a caller in logs and limits: `oidc-` and a hash of issuer and subject, a line each."""
    return f"oidc-{_digest(f'{issuer}\n{subject}')}"


def granted(settings: Issuer, claims: Mapping[str, Any]) -> Grant:
    """Return what a verified token grants. Raises `Forbidden`."""
    for required in settings.required:
        if not set(_texts(_claim(claims, required.claim))) & set(required.values):
            raise _refused(f"its claim {required.claim} is not what this service asks for")
    named = settings.claims
    return Grant(
        _tenant(settings, claims),
        _names(claims, named.models),
        _names(claims, named.tools),
        _plan(settings, claims),
    )


def principal(settings: Issuer, caller: str, grant: Grant) -> Principal:
    """Return who a caller is under these settings. Raises `Forbidden` where neither claims nor settings say it."""
    tenant = _said(grant.tenant, settings.tenant, settings.claims.tenant)
    models = _said(grant.models, settings.models, settings.claims.models)
    tools = _said(grant.tools, settings.tools, settings.claims.tools)
    return Principal(
        caller,
        tenant or "",
        _limits(settings, grant),
        None if models is None else frozenset(models),
        None if tools is None else frozenset(tools),
        f"{caller} {_written(settings, grant)}",
    )


def recalled(issuers: Iterable[Issuer], reference: str) -> Principal:
    """Return whom a principal's `reference` means, under the settings of now. Raises `Forbidden`."""
    caller, _, text = reference.partition(" ")
    written = orjson.loads(text)
    digest = written.pop("issuer")
    for settings in issuers:
        if _digest(settings.issuer) == digest:
            return principal(settings, caller, Grant(**written))
    raise _refused("its issuer is no longer one of this service's")


def _written(settings: Issuer, grant: Grant) -> str:
    said = {name: value for name, value in asdict(grant).items() if value is not None}
    return orjson.dumps({"issuer": _digest(settings.issuer), **said}).decode()


def _tenant(settings: Issuer, claims: Mapping[str, Any]) -> str | None:
    path = settings.claims.tenant
    if path is None or (found := _claim(claims, path)) is None:
        return None
    try:
        return LABEL.validate_python(f"{settings.tenant_prefix or ''}{found}" if isinstance(found, str) else found)
    except ValidationError:
        raise _refused(f"its claim {path} is no name of a tenant") from None


def _names(claims: Mapping[str, Any], path: str | None) -> tuple[str, ...] | None:
    if path is None or (found := _claim(claims, path)) is None:
        return None
    names = found.split() if isinstance(found, str) else found
    if not isinstance(names, list) or len(names) > MOST_NAMES or not all(isinstance(name, str) for name in names):
        raise _refused(f"its claim {path} is no list of names")
    return tuple(names)


def _plan(settings: Issuer, claims: Mapping[str, Any]) -> str | None:
    path = settings.claims.plan
    if path is None or (found := _claim(claims, path)) is None:
        return None
    names = _texts(found)
    for plan in settings.plans:
        if plan.name in names:
            return plan.name
    raise _refused(f"its claim {path} names no plan of this service")


def _limits(settings: Issuer, grant: Grant) -> KeyLimits:
    if grant.plan is None:
        return _said(None, settings.limits, settings.claims.plan) or KeyLimits()
    for plan in settings.plans:
        if plan.name == grant.plan:
            return plan
    raise _refused("its plan is no longer one of this service's")


def _said[Value](found: Value | None, default: Value | None, path: str | None) -> Value | None:
    """Return what claim or setting say. What a claim was to decide is not decided by its absence."""
    if found is None and default is None and path is not None:
        raise _refused(f"it has no claim {path}")
    return default if found is None else found


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim of that name, or where a JSON pointer (RFC 6901) leads through objects; else `None`."""
    if not path.startswith("/"):
        return claims.get(path)
    found: Any = claims
    for part in path[1:].split("/"):
        if not isinstance(found, dict):
            return None
        found = found.get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else json.dumps(each) for each in values if each is not None]


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:DIGITS]


def _refused(why: str) -> Forbidden:
    return not_allowed("claims", f"this token is good, but {why}")
