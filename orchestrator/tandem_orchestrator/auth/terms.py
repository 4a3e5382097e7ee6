"""What is written about a key, wherever: in a file, in the database, in a request to the admin API."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from tandem_contract.config import KeyLimits

LIFETIME: Final = re.compile(r"[1-9][0-9]{0,3}[smhdw]")
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]*$", max_length=128)]
Item = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=253)]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("expected a moment within the years 1 to 9999 (UTC)") from None


Moment = Annotated[datetime, AfterValidator(_in_utc)]


def _lifetime(text: str) -> str:
    if not LIFETIME.fullmatch(text):
        raise ValueError("expected a time such as 30d or 12h; units are s, m, h, d and w")
    return text


Lifetime = Annotated[str, AfterValidator(_lifetime)]


class Terms(KeyLimits):
    """What a key may do, and for how long."""

    name: Label | None = None
    """What people call the key."""
    models: list[Item] | None = Field(default=None, min_length=1, max_length=256)
    """Models it may use, by name or alias. Default: all."""
    tools: list[Item] | None = Field(default=None, max_length=256)
    """Server-side tools it may use. Default: all."""
    expires: Moment | None = None
    """When it ends, such as 2027-01-31T00:00:00Z; UTC where no zone is named. Default: never."""

    @property
    def limits(self) -> KeyLimits:
        """The limits alone."""
        return KeyLimits.model_construct(**{name: getattr(self, name) for name in KeyLimits.model_fields})


class NewTerms(Terms):
    """Terms of a key that is about to be made."""

    tenant: Label
    """Whom the key is for: limits of tenants and the engine's prefix cache go by it."""
    expires_in: Lifetime | None = None
    """How long it lasts, such as 30d or 12h; instead of expires."""

    @model_validator(mode="after")
    def _ends_once(self) -> "NewTerms":
        if self.expires is not None and self.expires_in is not None:
            raise ValueError("write either expires or expiresIn")
        return self


def after(lifetime: str, now: datetime) -> datetime:
    """Return the moment at which a lifetime such as "30d" or "12h" is over."""
    return now + timedelta(seconds=int(lifetime[:-1]) * UNITS[lifetime[-1]])
