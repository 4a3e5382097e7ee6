"""A service that judges, by OpenAI's `/v1/moderations`."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import orjson
from tandem_contract.config import ModerationEndpoint

from tandem_orchestrator.errors import KeyUnusable, Malformed, TimedOut
from tandem_orchestrator.guardrails.judgement import CATEGORIES
from tandem_orchestrator.guardrails.model_judge import FLAGGED
from tandem_orchestrator.guardrails.moderation_client import ModerationClient
from tandem_orchestrator.secret_file import SecretError, read_secret

OTHER: Final = "other"
"""Kind of what belongs to a category that neither OpenAI nor the configuration knows: kinds are labels of metrics."""


class ModerationJudge:
    """Asks about each text on its own."""

    def __init__(self, settings: ModerationEndpoint, client: ModerationClient) -> None:
        self._settings = settings
        self._client = client
        self._known = frozenset((*CATEGORIES, *settings.categories))

    async def judge(self, text: str) -> Sequence[str]:
        """See `Judge`."""
        settings = self._settings
        asked = {"input": text} | ({"model": settings.model} if settings.model else {})
        try:
            key = None if settings.api_key is None else read_secret(settings.api_key)
            async with asyncio.timeout(settings.timeout_seconds):
                raw = await self._client.ask(settings.url, orjson.dumps(asked), key)
        except SecretError as error:
            raise KeyUnusable(f"the moderation service's key cannot be read: {error}") from None
        except TimeoutError:
            seconds = settings.timeout_seconds
            raise TimedOut(f"the moderation service did not answer within {seconds:g} s", phase="first_byte") from None
        return self._kinds(raw)

    def _kinds(self, raw: bytes) -> list[str]:
        """Return the categories that count. Raises `Malformed`: what is no judgement lets nothing pass."""
        try:
            (result,) = orjson.loads(raw)["results"]
            found, flagged = self._found(result), result["flagged"]
        except (KeyError, TypeError, ValueError, AttributeError):
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
