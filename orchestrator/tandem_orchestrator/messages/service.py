"""Answers requests of Anthropic's API: each is a chat, asked as chats are, and its answer a message."""

import asyncio
from collections.abc import Awaitable

import orjson
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.error_shape import REQUEST_ID
from tandem_orchestrator.errors import BadRequest, Refused
from tandem_orchestrator.gateway.context import TOO_LONG_CODE, is_too_long
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.hot_path import Arrived, send_json
from tandem_orchestrator.gateway.request import LARGE, Request, json_object
from tandem_orchestrator.messages.asked import Asked, model_of
from tandem_orchestrator.messages.stream import MessageStream
from tandem_orchestrator.messages.whole import message_of
from tandem_orchestrator.tools.toolbox import Toolbox


class Messages:
    """Makes messages under one configuration."""

    def __init__(self, generator: Generator, toolbox: Toolbox, settings: OrchestratorSettings) -> None:
        self._generator = generator
        self._toolbox = toolbox
        self._settings = settings

    async def serve(self, arrived: Arrived) -> None:
        """Answer `POST /v1/messages`. Raises `GatewayError`, also after the stream's start."""
        asked = self._asked(arrived)
        await _let_go(arrived)
        try:
            await (self._stream(asked, arrived) if asked.stream else self._whole(asked, arrived))
        except Refused as error:
            if is_too_long(error):
                raise _too_long(error) from None
            raise

    async def serve_count_tokens(self, arrived: Arrived) -> None:
        """Answer `POST /v1/messages/count_tokens`. Raises `GatewayError`."""
        asked = self._asked(arrived, counted=True)
        await _let_go(arrived)
        number = await self._generator.count_tokens(_request(asked), arrived.principal, arrived.record, arrived.headers)
        await send_json(arrived.send, orjson.dumps({"input_tokens": number}))

    def _asked(self, arrived: Arrived, *, counted: bool = False) -> Asked:
        record, principal = arrived.record, arrived.principal
        record.headers = [*record.headers, (REQUEST_ID, record.request_id.encode())]
        payload = json_object(arrived.body, self._settings.limits.max_depth)
        model = self._generator.find(model_of(payload), principal)
        return Asked(payload, model.reasoning_field, self._toolbox, principal, counted=counted)

    async def _whole(self, asked: Asked, arrived: Arrived) -> None:
        record = arrived.record
        _, answer = await self._generator.whole(_request(asked), arrived.principal, record, arrived.headers)
        message = message_of(answer, record, asked.stops, shows_thinking=asked.shows_thinking)
        await send_json(arrived.send, orjson.dumps(message))

    def _stream(self, asked: Asked, arrived: Arrived) -> Awaitable[None]:
        record = arrived.record
        stream = MessageStream(arrived.exchange, record, arrived.send, asked.stops, shows_thinking=asked.shows_thinking)
        return self._generator.stream(_request(asked), arrived.principal, record, arrived.headers, stream)


async def _let_go(arrived: Arrived) -> None:
    """Give up a large body, or it would be held as long as the engine takes; others go on before it is written."""
    if len(arrived.body) > LARGE:
        arrived.body = b""
        await asyncio.sleep(0)


def _request(asked: Asked) -> Request:
    return Request(ENDPOINTS[CHAT], asked.chat, asked.model, stream=asked.stream)


def _too_long(error: Refused) -> BadRequest:
    """Return the error by whose first words clients know that they have to send less."""
    words = error.message
    if "max_tokens" in words and "too large" in words:  # it is the answer that they want too much of
        return BadRequest(f"max_tokens: {words}", param="max_tokens")
    return BadRequest(f"prompt is too long: {words}", param="messages", code=TOO_LONG_CODE)
