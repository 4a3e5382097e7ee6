"""A service that judges, by OpenAI's `/v1/moderations`."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import orjson
from tandem_contract.config import ModerationEndpoint

from tandem_orchestrator.errors import GatewayError, Malformed, TimedOut, Unreachable
from tandem_orchestrator.guardrails.judgement import CATEGORIES
from tandem_orchestrator.guardrails.model_judge import FLAGGED
from tandem_orchestrator.secret_file import SecretError, read_secret

MOST_BYTES: Final = 262_144  # of an answer
MOST_CONNECTIONS: Final = 64
OTHER: Final = "other"
"""Kind of what belongs to a category that neither OpenAI nor the configuration knows: kinds are labels of metrics."""
HEADERS: Final = {
    "user-agent": "tandem-orchestrator",
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "identity",
}
OK: Final = 200


class ModerationJudge:
    """Asks the service of the configuration, which may be inside of the network; opens nothing before it is used."""

    def __init__(self, settings: ModerationEndpoint) -> None:
        self._settings = settings
        self._known = frozenset((*CATEGORIES, *settings.categories))
        self._session: aiohttp.ClientSession | None = None

    async def judge(self, text: str) -> Sequence[str]:
        """See `Judge`."""
        asked = {"input": text} | ({"model": self._settings.model} if self._settings.model else {})
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                raw = await self._answer(orjson.dumps(asked))
        except TimeoutError:
            seconds = self._settings.timeout_seconds
            raise TimedOut(f"the moderation service did not answer within {seconds:g} s", phase="first_byte") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unreachable(f"the moderation service cannot be reached: {type(error).__name__}") from None
        return self._kinds(raw)

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()

    async def _answer(self, body: bytes) -> bytes:
        headers = HEADERS if self._settings.api_key is None else {**HEADERS, "authorization": f"Bearer {self._key()}"}
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=MOST_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=True)
        async with self._session.post(
            self._settings.url, data=body, headers=headers, allow_redirects=False
        ) as response:
            if response.status != OK:
                raise Malformed(f"the moderation service answered {response.status}")
            raw = bytearray()
            async for piece in response.content.iter_any():
                raw += piece
                if len(raw) > MOST_BYTES:
                    raise Malformed(f"the moderation service answered with more than {MOST_BYTES} bytes")
        return bytes(raw)

    def _key(self) -> str:
        assert self._settings.api_key is not None  # noqa: S101 # as the caller has seen
        try:
            return read_secret(self._settings.api_key)
        except SecretError as error:
            raise GatewayError(f"the moderation service's key cannot be read: {error}") from None

    def _kinds(self, raw: bytes) -> list[str]:
        """Return the categories that count. Raises `Malformed`: what is no judgement lets nothing pass."""
        try:
            document = orjson.loads(raw)
            (result,) = document["results"]
            found, flagged = self._found(result), result["flagged"]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            flagged = None
        if not isinstance(flagged, bool):
            raise Malformed("the moderation service's answer has another shape than OpenAI's")
        counting = self._settings.categories
        if counting:
            return [name for name in found if name in counting]
        kinds = [name if name in self._known else OTHER for name in found]
        return kinds or ([FLAGGED] if flagged and self._settings.min_score is None else [])

    def _found(self, result: dict[str, Any]) -> list[str]:
        """Return the categories by the service's own decision, or those whose score is high enough."""
        least = self._settings.min_score
        if least is None:
            return [name for name, is_one in result["categories"].items() if is_one is True]
        return [name for name, score in result["category_scores"].items() if score >= least]
