"""All issuers whose tokens are good, and the tokens that were found to be."""

import asyncio
from typing import TYPE_CHECKING, Final

from tandem_contract.config import Issuer as Settings
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.auth.api_key import MAX_LENGTH, ApiKey
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.auth.refusal import refusal
from tandem_orchestrator.part import Part

if TYPE_CHECKING:
    from tandem_orchestrator.auth.oidc.issuer import Issuer

MOST_LENGTH: Final = 16_384  # of a token
MOST_TOKENS: Final = 8192  # that are remembered, with some 600 bytes each
BEGINNING: Final = b"eyJ"  # how JSON begins in base64


class Issuers(Part):
    """Verifies a token when it is first seen, and remembers it until it expires or the keys of an issuer change."""

    def __init__(self, config: OrchestratorConfig) -> None:
        self.tokens: dict[bytes, ApiKey] = {}
        """Verified ones, by digest, as if they were keys that expire."""
        self.longest = MAX_LENGTH
        """How long what a request shows may be."""
        self._principals: dict[str, Principal] = {}
        """Those of the tokens, one for each caller, by which limits find their counts again at once."""
        self._issuers: dict[str, Issuer] = {}
        self._settings: list[Settings] = []
        self._changed = asyncio.Event()
        self.checked = not config.oidc.issuers
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Take changed settings; issuers whose settings did not change keep their keys."""
        if config.oidc.issuers == self._settings:
            return
        from tandem_orchestrator.auth.oidc.issuer import Issuer  # noqa: PLC0415 # 5 MB that few need

        before = self._issuers
        self._settings = config.oidc.issuers
        self._issuers = {}
        for settings in self._settings:
            known = before.get(settings.issuer)
            same = known is not None and known.settings == settings
            self._issuers[settings.issuer] = known if known and same else Issuer(settings, self._forget)
        for url, issuer in before.items():
            if self._issuers.get(url) is not issuer:
                issuer.retire()
        self.longest = MOST_LENGTH if self._issuers else MAX_LENGTH
        self._forget()
        self._changed.set()

    def identify(self, presented: bytes, digest: bytes) -> ApiKey | None:
        """Return whose token this is; `None` if it is none. Raises `Unauthorized`, `Forbidden`, `IssuerAway`."""
        if not self._issuers or not presented.startswith(BEGINNING) or presented.count(b".") < 2:  # noqa: PLR2004
            return None
        from tandem_orchestrator.auth.oidc import caller  # noqa: PLC0415 # as above
        from tandem_orchestrator.auth.oidc.token import Token  # noqa: PLC0415

        token = Token(presented)
        issuer = self._issuers.get(token.issuer)
        if issuer is None:
            raise refusal("unknown_issuer", "this token is of an issuer that is not known here (iss)")
        issuer.check(token)
        key_id = caller.key_id(token.issuer, token.claims["sub"])
        principal = caller.principal(issuer.settings, key_id, caller.granted(issuer.settings, token.claims))
        return self._remember(digest, principal, float(token.claims["exp"]) + issuer.settings.clock_skew_seconds)

    def recall(self, reference: str) -> Principal:
        """Return whom a `Principal.reference` means. Raises `Forbidden` if the settings speak against it now."""
        from tandem_orchestrator.auth.oidc import caller  # noqa: PLC0415 # as above

        return caller.recalled(self._settings, reference)

    @property
    def problems(self) -> list[str]:
        """A line for each issuer whose keys are not fresh."""
        return [f"oidc: {url} {issuer.problem}" for url, issuer in self._issuers.items() if issuer.problem is not None]

    async def watch(self) -> None:
        """Keep the keys of all issuers fresh; run until cancelled."""
        while True:
            self._changed.clear()
            async with asyncio.TaskGroup() as group:
                watching = [group.create_task(issuer.watch()) for issuer in self._issuers.values()]
                watching.append(group.create_task(self._look_at_all()))
                await self._changed.wait()
                for task in watching:
                    task.cancel()

    async def _look_at_all(self) -> None:
        for issuer in self._issuers.values():
            await issuer.tried.wait()
        self.checked = True

    def _remember(self, digest: bytes, principal: Principal, expires: float) -> ApiKey:
        if len(self.tokens) >= MOST_TOKENS:
            self._forget()
        known = self._principals.get(principal.key_id)
        if known != principal:
            known = self._principals[principal.key_id] = principal
        key = self.tokens[digest] = ApiKey(digest, known, expires)
        return key

    def _forget(self) -> None:
        self.tokens.clear()
        self._principals.clear()
