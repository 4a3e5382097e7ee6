"""Tools made of what this machine holds: an installed package, a file of a Secret."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import structlog
from tandem_contract.config import SecretFile

from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.tools.source import Offer, SourceError, reason
from tandem_orchestrator.tools.tool import Tool

CHECK_SECONDS: Final = 10.0  # between two looks at the file
CLOSE_SECONDS: Final = 2.0  # for one tool

log = structlog.get_logger()


class LocalSource:
    """Offers what `make` returns, made anew when `file` changes.

    The first attempt is made at once, so that tools are there from the first request on; later ones run in a thread.
    """

    def __init__(
        self, name: str, path: str, make: Callable[[], Sequence[Tool]], file: SecretFile | None = None
    ) -> None:
        """`path` is the setting's, for whoever has to correct it."""
        self.name = name
        self._path = path
        self._make = make
        self._file = file
        self._first: tuple[Sequence[Tool], str | None] | None = None
        with suppress(SourceError):  # `follow` tries again, and reports it
            self._first = self._make_now()

    async def follow(self, offer: Offer) -> None:
        """Offer the tools until they cannot be made any more. Raises `SourceError`."""
        first, self._first = self._first, None
        tools, content = await asyncio.to_thread(self._make_now) if first is None else first
        offer(tools)
        try:
            while True:
                await asyncio.sleep(CHECK_SECONDS)
                if await asyncio.to_thread(self._read_file) == content:
                    continue
                before = tools
                tools, content = await asyncio.to_thread(self._make_now)
                offer(tools)
                await _close(before)
        finally:
            await _close(tools)

    def _make_now(self) -> tuple[Sequence[Tool], str | None]:
        """Make the tools; return them and what the file held just before. Raises `SourceError`."""
        content = self._read_file()
        try:
            return self._make(), content
        except Exception as error:
            raise SourceError(f"{self._path}: {reason(error)}") from error

    def _read_file(self) -> str | None:
        try:
            return read_secret(self._file) if self._file is not None else None
        except SecretError as error:
            raise SourceError(f"{self._path}: {error}") from None


async def _close(tools: Sequence[Tool]) -> None:
    for tool in tools:
        if (close := getattr(tool, "close", None)) is not None:
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await close()
            except (Exception, SystemExit):  # a reload, or the end, must not depend on it
                log.exception("tool failed to close", tool=tool.name)
