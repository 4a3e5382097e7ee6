"""What an answer of the hub that is none means, and what to do."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from tandem_operator.api.source import HuggingFace
from tandem_operator.model_store.errors import FetchError, PassingError, PermanentError
from tandem_operator.model_store.place import LATEST
from tandem_operator.status.masking import quoted

_PASSING: Final = frozenset({408, 416, 425, 429})
"""Statuses below 500 that may change: 416 is of a part that another answer replaces."""
_QUERY: Final = re.compile(r"(https?://[^\s?'\"]+)\?[^\s'\"]*")
_LIMIT: Final = re.compile(r'"\w+"\s*;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)')
"""RateLimit of draft-ietf-httpapi-ratelimit-headers where nothing remains, such as "api";r=0;t=55."""
_SECRET: Final = "model.credentials.secretName"  # noqa: S105 # the name of a field


def of(source: HuggingFace, status: int, headers: Mapping[str, str], *, has_token: bool) -> FetchError:
    """Return the error that a refusal of the hub is; X-Error-Code tells more than the status."""
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _passing("the hub", status, headers)
    name, shown_token = source.repository, "a token was shown" if has_token else "no token was shown"
    by_code = {
        "GatedRepo": PermanentError(
            "Gated",
            f"{name} is gated: accept its conditions on the hub as the token's owner and set {_SECRET} ({shown_token})",
        ),
        "RevisionNotFound": PermanentError(
            "NotFound", f"model.source: {name} has no revision {source.revision or LATEST}"
        ),
        "EntryNotFound": PermanentError("NotFound", f"the hub has lost a file of {name}"),
    }
    is_known = headers.get("X-Error-Code") == "RepoNotFound"
    if status == HTTPStatus.UNAUTHORIZED and has_token and not is_known:
        refused = PermanentError("Unauthorized", f"the hub does not accept the token: renew HF_TOKEN in {_SECRET}")
    elif status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND}:
        do = f"correct model.source, or name in {_SECRET} a token that may read it"
        refused = PermanentError("NotFound", f"{name} is not on the hub, or private: {do} ({shown_token})")
    elif status == HTTPStatus.FORBIDDEN:
        refused = PermanentError("Forbidden", f"the token of {_SECRET} may not read {name} ({shown_token})")
    else:
        said = quoted(headers.get("X-Error-Message") or "it does not say why")
        refused = PermanentError("Refused", f"the hub answered {status} for {name}: {said}")
    return by_code.get(headers.get("X-Error-Code", ""), refused)


def of_storage(status: int, headers: Mapping[str, str]) -> PassingError:
    """Return the error that a refusal of the storage behind the hub is: the hub's next link may be good."""
    return _passing("the hub's storage", status, headers)


def unreachable(error: Exception) -> PassingError:
    """Return the error that it is when no connection came about, or one was cut."""
    return PassingError("HubAway", f"the hub cannot be reached, or was cut off: {shown(error)}")


def shown(error: Exception) -> str:
    """Return an error's text without tokens, and without what follows ? in URLs: signatures, at the storage."""
    return quoted(f"{type(error).__name__}: {_QUERY.sub(r'\1?…', str(error))}")


def _passing(who: str, status: int, headers: Mapping[str, str]) -> PassingError:
    after = _asked(headers)
    if after is not None:
        return PassingError("HubAway", f"{who} asks to wait {after:.0f} s ({status})", after)
    return PassingError("HubAway", f"{who} answered {status}")


def _asked(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that headers ask to wait; a date in Retry-After counts as nothing said."""
    if found := _LIMIT.search(headers.get("RateLimit", "")):
        return float(found[1])
    after = headers.get("Retry-After", "").strip()
    return float(after) if after.isascii() and after.isdigit() else None
