"""Finds out who sends a request, by keys from the configuration, files and the database, or by tokens of issuers."""

import asyncio
from hashlib import sha256
from hmac import compare_digest
from time import time
from typing import Final

import structlog
from tandem_contract.config import KeyLimits, OrchestratorConfig

from tandem_orchestrator.auth.api_key import digest_of, is_well_formed
from tandem_orchestrator.auth.configured import configured_keys
from tandem_orchestrator.auth.key_files import KeyFiles
from tandem_orchestrator.auth.oidc.issuers import Issuers
from tandem_orchestrator.auth.principal import ANONYMOUS, Principal
from tandem_orchestrator.auth.refusal import refusal
from tandem_orchestrator.auth.stored_keys import StoredKeys
from tandem_orchestrator.errors import DatabaseDown, Forbidden, GatewayError, NotFound, Unauthorized
from tandem_orchestrator.observability.metrics import AUTH_FAILURES, KEY_FILES_BROKEN, KEYS
from tandem_orchestrator.part import Part
from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.store.database import Database

LOOK_SECONDS = 1.0  # between two looks at files and database
MOST_SECONDS = 5.0  # between two tries at a database that is away

BEARER: Final = b"bearer "
HOW: Final = "send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
NOBODY: Final = Principal(ANONYMOUS, ANONYMOUS, KeyLimits())
OPEN: Final = "none: whoever reaches this port may use it; name keys under `keys`, or set API_KEYS"

log = structlog.get_logger()


class Keys(Part):
    """All keys of this process; `watch` keeps them fresh.

    They are looked up by the SHA-256 of what was presented. How long that takes depends on that hash, which nobody
    can steer towards the hash of a key that they do not have, so that the time tells nothing about keys; the hashes
    themselves are compared in constant time on top of it.
    """

    def __init__(self, config: OrchestratorConfig, database: Database) -> None:
        self.database = database
        self._files = KeyFiles(config.keys.files)
        self._stored = StoredKeys(database)
        self.issuers = Issuers(config)
        self._logged: list[str] = []
        self.open = False
        """True while there are no keys and none are required: everybody is the same."""
        self.checked = False
        """Whether the database has been tried, so that no key is refused that only it knows."""
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings."""
        self._settings = config.keys
        self._values = configured_keys(config.keys.values)
        self._files.update(config.keys.files)
        self._has_issuers = bool(config.oidc.issuers)
        self._arrange()

    def identify(self, headers: list[tuple[bytes, bytes]]) -> Principal:
        """Return who sends a request with these headers.

        Raises `Unauthorized`, `Forbidden` for a token whose claims do not suffice, `DatabaseDown` where an unknown key
        may be one that only the database knows, `IssuerAway` where a token cannot be checked.
        """
        if self.open:
            return NOBODY
        presented = _presented_key(headers, self.issuers.longest)
        if presented is None:
            return self._without_key()
        digest = sha256(presented).digest()
        key = self._fixed.get(digest) or self._stored.keys.get(digest) or self.issuers.tokens.get(digest)
        if key is None:
            key = self.issuers.identify(presented, digest)
        if key is None or not compare_digest(key.digest, digest):
            raise self._unknown(presented)
        if key.expires is not None and key.expires <= time():
            raise refusal("expired", "this API key or token has expired; ask for a new one")
        return key.principal

    def principal(self, key_id: str) -> Principal:
        """Return who has the key of that id now, or whom `Principal.reference` means.

        Raises `Unauthorized` if the key was taken away, or has expired, and `Forbidden`.
        """
        if self.open:
            return NOBODY
        if " " in key_id:
            return self.issuers.recall(key_id)
        for key in (*self._fixed.values(), *self._stored.keys.values()):
            if key.principal.key_id == key_id and (key.expires is None or key.expires > time()):
                return key.principal
        if key_id == NOBODY.key_id and self._settings.required is False:
            return NOBODY
        raise Unauthorized("the API key of this request has been taken away, or has expired")

    def check_admin(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Let the admin key pass. Raises `NotFound` if there is none, `Unauthorized`, `Forbidden`."""
        if self._settings.admin is None:
            raise NotFound("there is no admin API here; name its key under `keys.admin`")
        presented = _presented_key(headers, self.issuers.longest)
        if presented is None:
            raise refusal("missing", f"no admin key came with the request; {HOW}")
        try:
            if self._is_admin(presented):
                return
        except SecretError:
            raise GatewayError("the admin key cannot be read; /health says why") from None
        try:
            self.identify(headers)
        except GatewayError:
            raise Unauthorized("this is not the admin key") from None
        raise Forbidden("this key may use the service, but not the admin API")

    def know(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Return whether these headers hold a key of this service, be it the admin key; while there are no keys, all
        do.
        """
        if self.open:
            return True
        try:
            presented = _presented_key(headers, self.issuers.longest)
            if presented is None:
                return False
            return self._is_admin(presented) or self.identify(headers) is not NOBODY
        except (GatewayError, SecretError):
            return False

    @property
    def authentication(self) -> str:
        """Whether there is any, for people."""
        return OPEN if self.open else "keys and tokens" if self._has_issuers else "keys"

    @property
    def problems(self) -> list[str]:
        """A line for each thing that is wrong with the keys."""
        problems = [f"keys: {problem}" for problem in self._files.problems]
        if self._settings.admin is not None:
            try:
                read_secret(self._settings.admin)
            except SecretError as error:
                problems.append(f"keys.admin: {error}")
        if self.database.problem is not None:
            problems.append(f"database: {self.database.problem}")
        return problems

    async def refresh(self) -> None:
        """Take over what changed in the database. Raises `DatabaseDown`."""
        complete = self._stored.complete
        if await self._stored.refresh() or not complete:
            self._arrange()

    async def watch(self) -> None:
        """Take over changes of files and database within about a second; run until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_files())
            group.create_task(self._watch_database())

    async def _watch_files(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if await asyncio.to_thread(self._files.look):
                self._arrange()

    async def _watch_database(self) -> None:
        pause = LOOK_SECONDS
        while True:
            try:
                if self._has_database:
                    await self.refresh()
                pause = LOOK_SECONDS
            except DatabaseDown:  # which has been logged, and shows in metrics and /health
                pause = min(2 * pause, MOST_SECONDS)
            if not self.checked:
                self.checked = True
                self._arrange()
            await asyncio.sleep(pause)

    def _is_admin(self, presented: bytes) -> bool:
        """Raise `SecretError` where the admin key cannot be read."""
        admin = self._settings.admin
        return admin is not None and compare_digest(digest_of(read_secret(admin)), digest_of(presented))

    @property
    def _has_database(self) -> bool:
        return self._settings.admin is not None or self.database.exists

    def _arrange(self) -> None:
        """Decide anew what depends on all sources together."""
        self._fixed = self._files.keys | self._values
        settings = self._settings
        sources = self._values or settings.files or settings.admin or self._has_issuers
        no_keys = not (sources or self._stored.used or settings.required)
        self._undecided = no_keys and not self._stored.read and self._has_database
        self.open = no_keys and not self._undecided
        for source, keys in (("values", self._values), ("files", self._files.keys), ("database", self._stored.keys)):
            KEYS.labels(source).set(len(keys))
        KEY_FILES_BROKEN.set(len(self._files.problems))
        self._tell()

    def _tell(self) -> None:
        """Log what is wrong or unsafe, once."""
        problems = list(self._files.problems)
        if self.open:
            problems.append(f"authentication: {OPEN}")
        elif self.checked and not (
            self._fixed or self._stored.keys or self._has_issuers or self._settings.required is False
        ):
            problems.append("keys are required, but there is none: every request is refused")
        for problem in problems:
            if problem not in self._logged:
                log.warning("keys", problem=problem)
        if self._logged and not problems:
            log.info("keys are in order again")
        self._logged = problems

    def _without_key(self) -> Principal:
        if self._settings.required is False:
            return NOBODY
        if self._undecided:
            raise _unavailable("whether keys are needed")
        raise refusal("missing", f"no API key came with the request; {HOW}")

    def _unknown(self, presented: bytes) -> GatewayError:
        if not is_well_formed(presented):
            return refusal("malformed", f"the API key holds characters that no key has; {HOW}")
        if not self._stored.complete and self._has_database:
            return _unavailable("this API key")
        return refusal("unknown", "this API key is not valid here")


def _unavailable(what: str) -> DatabaseDown:
    AUTH_FAILURES.labels("unavailable").inc()
    return DatabaseDown(
        f"{what} cannot be checked, since the database does not answer; try again", retry_after=MOST_SECONDS
    )


def _presented_key(headers: list[tuple[bytes, bytes]], longest: int) -> bytes | None:
    """Return the key or token in `Authorization` or `X-API-Key`, any bytes; `None` without either header.

    Raises `Unauthorized` for another scheme, an empty or overlong key, or several that differ.
    """
    found = None
    for name, value in headers:
        if name == b"authorization":
            if value[:7].lower() != BEARER:
                raise refusal("malformed", f"the Authorization header does not hold a Bearer key; {HOW}")
            key = value[7:].strip()
        elif name == b"x-api-key":
            key = value.strip()
        else:
            continue
        if not key or len(key) > longest:
            raise refusal("malformed", f"the API key is empty or longer than {longest} characters; {HOW}")
        if found is not None and found != key:
            raise refusal("conflicting", "the request has several API keys that differ; send one")
        found = key
    return found
