"""One issuer: its keys as they were fetched last, and whether a token is one of its own."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import uniform
from time import monotonic, time
from typing import Any, Final

import structlog
from joserfc.jwk import Key
from tandem_contract.config import Issuer as Settings

from tandem_orchestrator.auth.oidc.fetching import IssuerError, published_keys
from tandem_orchestrator.auth.oidc.key_set import KeySet
from tandem_orchestrator.auth.oidc.token import Token
from tandem_orchestrator.auth.refusal import refusal
from tandem_orchestrator.errors import GatewayError, IssuerAway
from tandem_orchestrator.observability.metrics import AUTH_FAILURES, ISSUER_FETCHED, ISSUER_KEYS

LEAST_SECONDS: Final = 10.0  # between two fetches that tokens ask for: whoever makes up keys must not flood the issuer
MOST_SECONDS: Final = 60.0  # between two tries while the issuer is away
DOUBLINGS: Final = 10
EARLY: Final = 0.8  # replicas that started together do not ask together

log = structlog.get_logger()


class Issuer:
    """Keeps the keys fresh in `watch`; what was fetched last goes on while the issuer is away."""

    def __init__(self, settings: Settings, changed: Callable[[], None]) -> None:
        self.settings = settings
        self.tried = asyncio.Event()
        """Set once it has been asked for its keys, in vain or not."""
        self.problem: str | None = None
        self._changed = changed
        """Called when a token that was good may not be any more."""
        self._published: list[Any] | None = None
        self._keys = KeySet((), ())
        self._fetching = False
        self._failures = 0
        self._begun = self._due = float("-inf")
        self._wanted = asyncio.Event()
        self._retired = False

    def retire(self) -> None:
        """Be told of no more: it is an issuer no longer, or has other settings."""
        self._retired = True
        ISSUER_KEYS.remove(self.settings.issuer)
        ISSUER_FETCHED.remove(self.settings.issuer)

    def check(self, token: Token) -> None:
        """Raise `Unauthorized` unless the issuer vouches for this token here and now, `IssuerAway` if none can tell."""
        if not token.is_signed_by(self._key(token)):
            raise refusal("bad_signature", "the signature of this token does not fit")
        token.check(self.settings.audiences, self.settings.clock_skew_seconds)

    async def watch(self) -> None:
        """Fetch the keys whenever it is time; run until cancelled."""
        while True:
            await self._until_due()
            await self._fetch()
            self.tried.set()

    def _key(self, token: Token) -> Key:
        if token.algorithm not in self.settings.algorithms:
            raise refusal("bad_signature", "this token is signed in a way that is not taken here (alg)")
        key = self._keys.get(token.kid, token.algorithm)
        if key is not None:
            return key
        if token.kid in self._keys.kids or (token.kid is None and self._keys):
            raise refusal("bad_signature", "no key of the issuer fits how this token is signed (kid, alg)")
        raise self._unknown()

    def _unknown(self) -> GatewayError:
        """Return the error for a key that is not known: it may be new, and then the next try finds it."""
        if not self._fetching and self.problem is None and monotonic() < self._begun + LEAST_SECONDS:
            return refusal("unknown_kid", "this token is signed with a key that its issuer does not have (kid)")
        self._wanted.set()
        AUTH_FAILURES.labels("unavailable").inc()
        if self.problem is None:
            return IssuerAway("the issuer's keys are being fetched, to check this token; try again", retry_after=1)
        return IssuerAway("this token cannot be checked, as its issuer's keys cannot be had", retry_after=LEAST_SECONDS)

    async def _until_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._due - monotonic())):
                await self._wanted.wait()
                await asyncio.sleep(self._begun + LEAST_SECONDS - monotonic())
        self._wanted.clear()

    async def _fetch(self) -> None:
        self._begun, self._fetching = monotonic(), True
        try:
            self._take(await published_keys(self.settings))
        except IssuerError as error:
            self._failures += 1
            self._due = monotonic() + min(pause(self._failures), self.settings.refresh_seconds)
            self._tell(str(error))
        else:
            self._failures = 0
            self._due = self._begun + uniform(EARLY, 1.0) * self.settings.refresh_seconds  # noqa: S311 # no secret
            self._tell(None)
        finally:
            self._fetching = False

    def _take(self, published: list[Any]) -> None:
        """Use these keys and no others. Raises `IssuerError` where none of them can be."""
        if published != self._published:
            self._published, self._keys = published, KeySet(published, self.settings.algorithms)
            self._changed()
            log.info("keys of an issuer", issuer=self.settings.issuer, kids=sorted(self._keys.kids))
        if not self._retired:  # else this was asked before
            ISSUER_KEYS.labels(self.settings.issuer).set(len(self._keys))
            ISSUER_FETCHED.labels(self.settings.issuer).set(time())
        if not self._keys:
            raise IssuerError(f"shows no key that signs with {', '.join(self.settings.algorithms)}")

    def _tell(self, problem: str | None) -> None:
        """Log a change for the worse or the better, once."""
        if problem is not None and problem != self.problem:
            log.warning("an issuer's keys cannot be fetched", issuer=self.settings.issuer, problem=problem)
        elif problem is None and self.problem is not None:
            log.info("an issuer is back", issuer=self.settings.issuer)
        self.problem = problem


def pause(failures: int) -> float:
    """Return the seconds after so many failures in a row: each time twice as many."""
    return min(2.0 ** min(failures, DOUBLINGS), MOST_SECONDS)
