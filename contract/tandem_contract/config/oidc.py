"""`oidc`: callers that show a token of an issuer instead of a key."""

import re
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from tandem_contract.config.base import HttpUrl, SecretFile, Section
from tandem_contract.config.keys import KeyLimits

SAFE_ISSUER: Final = r"^(https://|http://(localhost|127[.][0-9.]+|\[::1\])(:[0-9]+)?(/|$))"
"""Issuers whose keys nobody can swap on their way here."""
MOST_NAMES: Final = 256

ClaimPath = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=256)]
Tenant = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]*$", max_length=128)]
TenantPrefix = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@/-]*$", max_length=64)]
Word = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=253)]
PlanName = Annotated[str, StringConstraints(pattern=r"^[!-~]+$", max_length=64)]


class Algorithm(StrEnum):
    """How tokens are signed, as RFC 7518 and 8037 name it; never by a secret that both sides share."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


class Claims(Section):
    """Claims of a token that say what its bearer may use."""

    tenant: ClaimPath | None = None
    """Holds the tenant. The claim's name, or a JSON pointer such as /kubernetes.io/namespace, as for the others."""
    models: ClaimPath | None = None
    """Holds the models that may be used: a list, or names with spaces between them."""
    tools: ClaimPath | None = None
    """Holds the server-side tools that may be used, written alike."""
    plan: ClaimPath | None = None
    """Holds the name of a plan, or a list of which the first of `plans` counts."""


class RequiredClaim(Section):
    """A claim that a token must have."""

    claim: ClaimPath
    """Its name, or a JSON pointer."""
    values: list[Annotated[str, StringConstraints(max_length=1024)]] = Field(min_length=1, max_length=64)
    """It must be one of these, or a list with one of these."""


class Plan(KeyLimits):
    """How much a caller may use whose token names this plan."""

    name: PlanName
    """Its name, as tokens write it."""


class Issuer(Section):
    """Whose tokens are good, and what they allow."""

    issuer: HttpUrl
    """Its URL, exactly as tokens have it in `iss`; its keys are found by way of /.well-known/openid-configuration."""
    audiences: list[Word] = Field(min_length=1, max_length=16)
    """A token must be meant for one of these (`aud`)."""
    jwks_url: HttpUrl | None = None
    """Where its keys are, if not where its own configuration says."""
    jwks_token: SecretFile | None = None
    """Bearer token with which jwksUrl is asked; for a cluster that shows its keys to ServiceAccounts alone."""
    ca: SecretFile | None = None
    """Certificates (PEM) by which the issuer's is checked. Default: those of the system."""
    algorithms: list[Algorithm] = Field(
        default=[Algorithm.RS256, Algorithm.ES256, Algorithm.PS256, Algorithm.EDDSA], min_length=1, max_length=10
    )
    """How its tokens may be signed."""
    clock_skew_seconds: int = Field(default=30, ge=0, le=300)
    """How far its clock may be from this one: tokens count so much longer, and so much earlier."""
    refresh_seconds: float = Field(default=300.0, gt=0, le=3600)
    """How often its keys are fetched: a key that it takes back counts so long."""
    required: list[RequiredClaim] = Field(default=[], max_length=16)
    """Claims that a token must have, beside its audience."""
    claims: Claims = Claims()
    """Claims that say what a caller may use. Where a token lacks one, `tenant`, `models`, `tools` or `limits` beside
    them counts in its stead; where that is not set, the token is refused."""
    tenant: Tenant | None = None
    """Whom callers belong to whose tokens do not say it."""
    tenant_prefix: TenantPrefix | None = None
    """Goes in front of the tenants that tokens name, so that they are none of those of keys, nor of another issuer."""
    models: list[Word] | None = Field(default=None, min_length=1, max_length=MOST_NAMES)
    """Models that callers may use, by name or alias. Default: all."""
    tools: list[Word] | None = Field(default=None, max_length=MOST_NAMES)
    """Server-side tools that they may use. Default: all."""
    limits: KeyLimits | None = None
    """How much each caller (`sub`) may use. Default: rateLimits.defaults."""
    plans: list[Plan] = Field(default=[], max_length=16)
    """Other limits, for tokens that name them."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.jwks_url is None and not re.match(SAFE_ISSUER, self.issuer):
            raise ValueError("issuer must be https://, as whoever is in between could swap its keys; or set jwksUrl")
        if self.jwks_token is not None and self.jwks_url is None:
            raise ValueError("jwksToken goes to jwksUrl and nowhere else; set that")
        if self.tenant is None and self.claims.tenant is None:
            raise ValueError("set claims.tenant or tenant, so that each caller has a tenant")
        if bool(self.plans) != (self.claims.plan is not None):
            raise ValueError("claims.plan and plans go together; set both or neither")
        return self


class Oidc(Section):
    """Callers with tokens (JWTs) of issuers, by OpenID Connect's discovery; beside those with keys."""

    issuers: list[Issuer] = Field(default=[], max_length=16)
    """Whose tokens are good."""
