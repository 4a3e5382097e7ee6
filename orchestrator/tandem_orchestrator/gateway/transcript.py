"""Logs what was said, where `logging.prompts` asks for it."""

from types import TracebackType

import structlog
from starlette.types import Message, Send

LONGEST = 16_384  # bytes of a request and of an answer

log = structlog.get_logger()


class Transcript:
    """`with Transcript(send, body, request_id) as send:` logs the request and what was sent, both cut at a length."""

    def __init__(self, send: Send, body: bytes, request_id: str) -> None:
        self._send = send
        self._body = body
        self._request_id = request_id
        self._answer = bytearray()

    def __enter__(self) -> Send:
        return self._listen

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        log.info(
            "transcript",
            request_id=self._request_id,
            request=self._body[:LONGEST].decode(errors="replace"),
            answer=self._answer.decode(errors="replace"),
        )

    async def _listen(self, message: Message) -> None:
        self._answer += message.get("body", b"")[: LONGEST - len(self._answer)]
        await self._send(message)
