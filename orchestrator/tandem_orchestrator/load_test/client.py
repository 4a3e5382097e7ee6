"""Sends one request of a kind and judges its answer."""

import random
import re
from collections.abc import AsyncIterator
from time import perf_counter
from typing import Any, Final, Self

import aiohttp
import orjson

from tandem_orchestrator.engines.answers import is_done
from tandem_orchestrator.engines.event_reader import Event, EventReader
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.load_test.result import Result
from tandem_orchestrator.load_test.settings import Kind, Settings

OK: Final = 200
TOOL: Final = "calculate_math"
TOOL_DECLARATION: Final = {
    "type": "function",
    "function": {
        "name": TOOL,
        "description": "Compute an arithmetic expression exactly.",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        },
    },
}
TOOL_COMMENT: Final = re.compile(rf"^: *tool {TOOL} success", re.MULTILINE)


class Unusable(Exception):
    """The service cannot be tested at all; the text says why."""


class Failed(Exception):
    """One request failed; the text is the kind of failure that it is counted under."""


class Client:
    """Sends requests to one service; to be entered with `async with`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/").removesuffix("/v1")
        self._model = settings.model
        self._operands = random.Random(0)  # noqa: S311 # any numbers do
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        key = self._settings.api_key
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout_seconds),
            connector=aiohttp.TCPConnector(limit=0),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def prepare(self) -> str:
        """Ask the service for its models; return the name of the one to use. Raises `Unusable`."""
        url = f"{self._url}/v1/models"
        try:
            async with self._session.get(url) as response:
                if response.status != OK:
                    raise Unusable(f"{url} answers {response.status}: {(await response.text())[:200]}")
                listed = [str(entry["id"]) for entry in orjson.loads(await response.read())["data"]]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unusable(f"{url} cannot be reached: {error or type(error).__name__}") from None
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise Unusable(
                f"{url} does not answer with a list of models; is this an OpenAI-compatible service?"
            ) from None
        self._model = self._model or next(iter(listed), None)
        if self._model is None:
            raise Unusable(f"{url} lists no model; name one with --model")
        return self._model

    async def send(self, kind: Kind, intended: float) -> Result:
        """Send one request. `intended` is when it should have started, on the clock of `perf_counter`."""
        result = Result(kind)
        try:
            if kind is Kind.CHAT:
                await self._send_whole(self._body(), result)
            elif kind is Kind.STREAM:
                await self._send_streamed(self._body(), result, intended)
            else:
                await self._send_with_tool(result, intended)
        except Failed as failure:
            result.error = str(failure)
        except TimeoutError:
            result.error = "timeout"
        except aiohttp.ClientConnectorError:
            result.error = "connection refused"
        except aiohttp.ClientError as error:
            result.error = f"connection lost ({type(error).__name__})"
        result.seconds = perf_counter() - intended
        return result

    def _body(self, prompt: str | None = None, **fields: Any) -> dict[str, Any]:
        message = {"role": "user", "content": prompt or self._settings.prompt}
        return {"model": self._model, "messages": [message], "max_tokens": self._settings.max_tokens, **fields}

    async def _send_with_tool(self, result: Result, intended: float) -> None:
        one, other = (self._operands.randint(100, 999) for _ in range(2))
        streamed = self._operands.random() < 0.5  # noqa: PLR2004 # half of them
        body = self._body(f"Calculate {one} * {other} with the tool.", tools=[TOOL_DECLARATION])
        answer = await (self._send_streamed(body, result, intended) if streamed else self._send_whole(body, result))
        digits = re.sub(r"(?<=\d)[,_ ](?=\d{3})", "", answer)
        result.tool_used = str(one * other) in digits or bool(TOOL_COMMENT.search(answer))

    async def _send_whole(self, body: dict[str, Any], result: Result) -> str:
        """Send a request; return its answer's text. Raises `Failed`."""
        async with self._post(body) as response:
            raw = await response.read()
        if response.status != OK:
            raise Failed(_refusal(response.status, raw))
        try:
            answer = orjson.loads(raw)
            result.tokens = (answer.get("usage") or {}).get("completion_tokens") or 0
            return str(answer["choices"][0]["message"].get("content") or "")
        except (orjson.JSONDecodeError, AttributeError, KeyError, IndexError, TypeError):
            raise Failed("not a chat completion") from None

    async def _send_streamed(self, body: dict[str, Any], result: Result, intended: float) -> str:
        """Send a request; return its stream's text and comments. Raises `Failed`."""
        deltas, comments, done = [], [], False
        async with self._post({**body, "stream": True, "stream_options": {"include_usage": True}}) as response:
            if response.status != OK:
                raise Failed(_refusal(response.status, await response.read()))
            async for event in _events(response.content):
                if event.data is None:
                    comments.append(event.raw.decode(errors="replace"))
                elif is_done(event):
                    done = True
                else:
                    if result.first_token_seconds is None:
                        result.first_token_seconds = perf_counter() - intended
                    deltas.append(_delta(event.data, result))
        if not done:
            raise Failed("stream ended without [DONE]")
        return "".join(deltas) + "\n" + "".join(comments)

    def _post(self, body: dict[str, Any]) -> Any:
        headers = {"content-type": "application/json"}
        return self._session.post(f"{self._url}/v1/chat/completions", data=orjson.dumps(body), headers=headers)


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[Event]:
    reader = EventReader()
    try:
        async for piece in content.iter_any():
            for event in reader.read(piece):
                yield event
    except Malformed:
        raise Failed("event without end") from None
    if rest := reader.end():
        yield rest


def _refusal(status: int, raw: bytes) -> str:
    try:
        code = orjson.loads(raw)["error"]["code"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        code = None
    return f"status {status} ({code})" if code else f"status {status}"


def _delta(data: bytes, result: Result) -> str:
    """Return the text that an event adds."""
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Failed("event that is not JSON") from None
    if error := chunk.get("error"):
        raise Failed(f"error event ({error.get('code')})")
    if usage := chunk.get("usage"):
        result.tokens = usage.get("completion_tokens") or 0
    choices = chunk.get("choices") or [{}]
    return str((choices[0].get("delta") or {}).get("content") or "")
