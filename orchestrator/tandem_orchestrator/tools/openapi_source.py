"""OpenAPI documents that are fetched from the service that they describe."""

import asyncio
from typing import Final

from tandem_contract.config import OpenApi as OpenApiSettings

from tandem_orchestrator.tools.headers import ToolHeaders
from tandem_orchestrator.tools.http_tool import Service
from tandem_orchestrator.tools.openapi import DocumentError, read_document, tools_of
from tandem_orchestrator.tools.outbound import Http, HttpRequest, OutboundError
from tandem_orchestrator.tools.source import Offer, SourceError

OK: Final = 200
MAX_DOCUMENT: Final = 8_388_608  # bytes
REFRESH_SECONDS: Final = 3600.0


class OpenApiSource:
    """Fetches a document at the start and every hour, and offers its operations."""

    def __init__(self, settings: OpenApiSettings) -> None:
        self.name = f"openapi {settings.name}"
        self._settings = settings
        self._headers = ToolHeaders(settings.headers, settings.secret_headers)

    async def follow(self, offer: Offer) -> None:
        """Offer the operations until the document cannot be fetched. Raises `SourceError`."""
        url, base = self._settings.url or "", self._settings.base_url
        http = Http([url, base] if base else [url])
        service = Service(http, self._headers)
        try:
            while True:
                text = await self._fetch(http, url)
                document = await asyncio.to_thread(read_document, text)  # reading a large one takes its time
                offer(tools_of(document, self._settings, service))
                await asyncio.sleep(REFRESH_SECONDS)
        except DocumentError as error:
            raise SourceError(f"the document at {url} {error}") from None
        finally:
            await http.close()

    async def _fetch(self, http: Http, url: str) -> bytes:
        try:
            answer = await http.fetch(HttpRequest("GET", url), limit=MAX_DOCUMENT)
        except OutboundError as error:
            raise SourceError(f"{url} {error}") from None
        if answer.status != OK:
            raise SourceError(f"{url} answered {answer.status}")
        return answer.body
