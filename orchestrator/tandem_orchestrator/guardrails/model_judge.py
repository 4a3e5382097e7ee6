"""A guard model that judges, one of those that are served."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tandem_contract.config import GuardModel

from tandem_orchestrator.errors import TimedOut
from tandem_orchestrator.guardrails import llama_guard

FLAGGED: Final = "flagged"
"""Kind of a text that is not to pass for a reason that nobody told."""

Ask = Callable[[str, dict[str, Any]], Awaitable[object]]
"""Asks the model of that name a chat; returns what it says, which may be anything. Raises `GatewayError`."""


class ModelJudge:
    """Asks about each text on its own, as what a user said."""

    def __init__(self, settings: GuardModel, ask: Ask) -> None:
        self._settings = settings
        self._counting = frozenset(settings.categories)
        self._ask = ask

    async def judge(self, text: str) -> Sequence[str]:
        """See `Judge`."""
        seconds = self._settings.timeout_seconds
        chat = {
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": llama_guard.MOST_TOKENS,
        }
        try:
            async with asyncio.timeout(seconds):
                verdict = llama_guard.read(await self._ask(self._settings.name, chat))
        except TimeoutError:
            raise TimedOut(f"the guard model gave no judgement within {seconds:g} s", phase="first_byte") from None
        if not verdict.flagged:
            return ()
        named = [name for name in verdict.categories if not self._counting or name in self._counting]
        return named or (() if self._counting and verdict.categories else (FLAGGED,))
