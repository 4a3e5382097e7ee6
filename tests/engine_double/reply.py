"""What the double answers, and the answers' JSON as vLLM writes it."""

import base64
import re
import time
import uuid
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

Fault = Literal[
    "",
    "close",  # closes the connection after the `raw` bytes, or without any
    "not_http",  # answers with bytes that are no HTTP
    "malformed_json",  # JSON that ends in the middle; in a stream, one such event
    "wrong_type",  # an HTML page with status 200
    "cut",  # closes the connection after `fault_after` pieces
    "hang",  # falls silent after `fault_after` pieces
    "error_event",  # an error inside a 200, after `fault_after` pieces
    "no_done",  # a stream that ends after `fault_after` pieces, properly but without [DONE]
]
EXPRESSION = re.compile(r"[-\d(][\d\s.+\-*/()]*[-+*/][\d\s.+\-*/()]*\d\)?")
PLACE = re.compile(r"\bin ([A-Z][\w' -]+)")


@dataclass(frozen=True)
class Call:
    """A tool call; `arguments` is sent as it stands, valid JSON or not."""

    name: str
    arguments: str = "{}"


@dataclass(frozen=True)
class Reply:
    """One scripted answer to one request."""

    text: str = "Hello, I am an engine double and this answer has 64 bytes in it."
    calls: tuple[Call, ...] = ()
    finish_reason: str = ""
    reasoning: str = ""
    stop_reason: str | int | None = None
    """What of the request's `stop` ended it."""
    cached_tokens: int | None = None
    status: int = 200
    error: Any = None
    headers: tuple[tuple[str, str], ...] = ()
    before_first_byte: float = 0.0
    between_pieces: float = 0.0
    fault: Fault = ""
    fault_after: int = 2
    raw: bytes = field(default=b"", repr=False)
    entries: Any = None
    """`data` of embeddings, or `results` of a reranker or of moderations, in place of plausible ones."""
    usage: Any = None
    """`usage` of images or a transcription in place of the usual."""

    reasoning_field: str = "reasoning"
    """What the engine calls what was thought."""

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Reply":
        """Reads what a control request or a request's `double` field says."""
        fields = dict(document)
        fields["calls"] = tuple(Call(**call) for call in fields.get("calls", ()))
        fields["headers"] = tuple((name, value) for name, value in fields.get("headers", ()))
        return cls(**fields)


def plausible(request: dict[str, Any]) -> Reply:
    """What a sensible model would do: call the tool that fits, then say its result."""
    if "messages" not in request:
        return Reply()
    messages = request["messages"]
    results = []
    while messages and messages[-1]["role"] == "tool":
        results.append(messages[-1]["content"])
        messages = messages[:-1]
    if results:
        return Reply(f"The result is {' and '.join(reversed(results))}.")
    asked = str(messages[-1].get("content"))
    offered = {tool["function"]["name"] for tool in request.get("tools") or () if "function" in tool}
    calls = []
    if "calculate_math" in offered and (found := EXPRESSION.search(asked)):
        calls.append(Call("calculate_math", orjson.dumps({"expression": found[0].strip()}).decode()))
    if "get_current_weather" in offered and (found := PLACE.search(asked)):
        calls.append(Call("get_current_weather", orjson.dumps({"location": found[1]}).decode()))
    return Reply("", tuple(calls)) if calls and request.get("tool_choice") != "none" else Reply()


class Answer:
    """The JSON documents of one reply, as a chat completion."""

    kind = "chat.completion"
    chunk_kind = "chat.completion.chunk"

    def __init__(self, reply: Reply, request: dict[str, Any]) -> None:
        self._reply = reply
        self._request = request
        self._id = f"chatcmpl-{uuid.uuid4().hex}"
        self._calls: list[dict[str, Any]] = [
            {"id": f"chatcmpl-tool-{uuid.uuid4().hex}", "type": "function", "function": vars(call).copy()}
            for call in reply.calls
        ]
        self._finish = reply.finish_reason or ("tool_calls" if reply.calls else "stop")

    @property
    def streamed(self) -> bool:
        return bool(self._request.get("stream"))

    @property
    def pieces(self) -> list[str]:
        return re.findall(r"\s*\S+", self._reply.text)

    @property
    def usage(self) -> dict[str, Any]:
        prompt, completion = 7 * len(self._request.get("messages", "?")), max(1, len(self.pieces))
        return {
            "prompt_tokens": prompt,
            "total_tokens": prompt + completion,
            "completion_tokens": completion,
            "prompt_tokens_details": None if (hit := self._reply.cached_tokens) is None else {"cached_tokens": hit},
        }

    def whole(self) -> dict[str, Any]:
        message = {
            "role": "assistant",
            "content": self._reply.text or None,
            "refusal": None,
            "annotations": None,
            "audio": None,
            "function_call": None,
            "tool_calls": self._calls,
            self._reply.reasoning_field: self._reply.reasoning or None,
        }
        choice = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self._finish,
            "stop_reason": self._reply.stop_reason,
            "token_ids": None,
        }
        return {**self._frame(self.kind), "choices": [choice], "usage": self.usage, "prompt_logprobs": None}

    def chunks(self) -> Iterator[dict[str, Any]]:
        yield self._chunk({"role": "assistant", "content": ""})
        if self._reply.reasoning:
            yield self._chunk({self._reply.reasoning_field: self._reply.reasoning})
        for piece in self.pieces:
            yield self._chunk({"content": piece})
        for index, call in enumerate(self._calls):
            yield self._chunk(
                {"tool_calls": [{**call, "index": index, "function": {"name": call["function"]["name"]}}]}
            )
            arguments = call["function"]["arguments"]
            for half in (arguments[: len(arguments) // 2], arguments[len(arguments) // 2 :]):
                yield self._chunk({"tool_calls": [{"index": index, "function": {"arguments": half}}]})
        yield self._chunk({"content": ""}, self._finish)
        if (self._request.get("stream_options") or {}).get("include_usage"):
            yield {**self._frame(self.chunk_kind), "choices": [], "usage": self.usage}

    def _frame(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": int(time.time()), "model": self._request["model"]}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": None}
        if finish is not None:
            choice["stop_reason"] = self._reply.stop_reason
        return {**self._frame(self.chunk_kind), "choices": [choice]}


class TextAnswer(Answer):
    """The same as a completion of a prompt."""

    kind = chunk_kind = "text_completion"

    def whole(self) -> dict[str, Any]:
        choice = {"index": 0, "text": self._reply.text, "logprobs": None, "finish_reason": self._finish}
        return {**self._frame(self.kind), "choices": [choice], "usage": self.usage}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "text": delta.get("content", ""), "logprobs": None, "finish_reason": finish}
        return {**self._frame(self.chunk_kind), "choices": [choice]}


class ResponseAnswer(Answer):
    """The same as a response, as vLLM's own `/v1/responses` has it."""

    @property
    def streamed(self) -> bool:
        return bool(self._request.get("stream"))

    def whole(self) -> dict[str, Any]:
        cut = self._finish == "length"
        return {
            "id": f"resp_{uuid.uuid4().hex}",
            "object": "response",
            "created_at": int(time.time()),
            "model": self._request["model"],
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": self._items(),
            "usage": {
                "input_tokens": 7,
                "output_tokens": 3 + len(self.pieces),
                "input_tokens_details": {"cached_tokens": 2},
                "output_tokens_details": {"reasoning_tokens": 3},
            },
        }

    def chunks(self) -> Iterator[dict[str, Any]]:
        yield {"type": "response.created", "response": {**self.whole(), "status": "in_progress", "output": []}}
        if self._reply.reasoning:
            yield {"type": "response.reasoning_text.delta", "delta": self._reply.reasoning}
        for piece in self.pieces:
            yield {"type": "response.output_text.delta", "delta": piece}
        for item in self._items():
            yield {"type": "response.output_item.done", "item": item}
        whole = self.whole()
        yield {"type": f"response.{whole['status']}", "response": whole}

    def _items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        if self._reply.reasoning:
            thought = [{"type": "reasoning_text", "text": self._reply.reasoning}]
            items.append({"type": "reasoning", "id": "rs_1", "summary": [], "content": thought})
        if self._reply.text:
            said = [{"type": "output_text", "text": self._reply.text, "annotations": []}]
            items.append({"type": "message", "id": "msg_1", "role": "assistant", "content": said})
        calls = [
            {"type": "function_call", "id": "fc_1", "call_id": call["id"], **call["function"]} for call in self._calls
        ]
        return items + calls


class EmbeddingsAnswer(Answer):
    """One vector for each text that is asked about."""

    streamed = False

    def whole(self) -> dict[str, Any]:
        asked = self._request["input"]
        texts = asked if isinstance(asked, list) else [asked]
        data = self._reply.entries
        if data is None:
            data = [
                {"object": "embedding", "index": n, "embedding": self._vector(text)} for n, text in enumerate(texts)
            ]
        usage = {"prompt_tokens": 7 * len(texts), "total_tokens": 7 * len(texts)}
        return {**self._frame("list"), "data": data, "usage": usage}

    def _vector(self, text: str) -> list[float] | str:
        vector = array("f", [len(text), 0.5, -1.0])
        in_base64 = self._request.get("encoding_format") == "base64"
        return base64.b64encode(vector.tobytes()).decode() if in_base64 else list(vector)


class RerankAnswer(Answer):
    """As vLLM, Jina and Cohere have it: the share of the question's words that each document has."""

    streamed = False

    def whole(self) -> dict[str, Any]:
        documents = self._request["documents"]
        asked = set(self._request["query"].lower().split())
        results = self._reply.entries
        if results is None:
            scores = [len(asked & set(document.lower().split())) / len(asked) for document in documents]
            order = sorted(range(len(documents)), key=lambda n: -scores[n])
            results = [{"index": n, "document": {"text": documents[n]}, "relevance_score": scores[n]} for n in order]
        usage = {"prompt_tokens": 7 * len(documents), "total_tokens": 7 * len(documents)}
        return {"id": self._id, "model": self._request["model"], "usage": usage, "results": results}


class ScoreAnswer(Answer):
    """As vLLM has it: the share of one text's words that the other has."""

    streamed = False

    def whole(self) -> dict[str, Any]:
        one, others = (self._request.get(name) for name in self._pair())
        others = others if isinstance(others, list) else [others]
        ones = one if isinstance(one, list) else [one] * len(others)
        pairs = [(set(str(a).lower().split()), set(str(b).lower().split())) for a, b in zip(ones, others, strict=False)]
        data = [{"index": n, "object": "score", "score": len(a & b) / max(1, len(a))} for n, (a, b) in enumerate(pairs)]
        usage = {"prompt_tokens": 7 * len(data), "total_tokens": 7 * len(data), "completion_tokens": 0}
        return {**self._frame("list"), "data": data, "usage": usage}

    def _pair(self) -> tuple[str, str]:
        pairs = (("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2"))
        return next(pair for pair in pairs if all(name in self._request for name in pair))


class ImagesAnswer(Answer):
    """Images of OpenAI's shape; diffusion servers tell no usage."""

    streamed = False

    def whole(self) -> dict[str, Any]:
        wants_url = self._request.get("response_format") == "url"
        pixel = base64.b64encode(b"GIF89a\x01\x00\x01\x00").decode()
        image = {"url": "http://images.example/1.png"} if wants_url else {"b64_json": pixel}
        answer = {"created": int(time.time()), "data": [image] * (self._request.get("n") or 1)}
        return answer if self._reply.usage is None else {**answer, "usage": self._reply.usage}


class ModerationAnswer(Answer):
    """OpenAI's, of a server that has moderations of its own."""

    streamed = False

    def whole(self) -> dict[str, Any]:
        asked = self._request["input"]
        texts = asked if isinstance(asked, list) else [asked]
        results = self._reply.entries or [
            {
                "flagged": "kill" in str(text),
                "categories": {"violence": "kill" in str(text)},
                "category_scores": {"violence": float("kill" in str(text))},
            }
            for text in texts
        ]
        return {"id": self._id, "model": self._request["model"], "results": results}


class TranscriptionAnswer(Answer):
    """As vLLM has it: the request is a form, whose fields are texts."""

    kind = chunk_kind = "transcription.chunk"

    @property
    def streamed(self) -> bool:
        return self._request.get("stream") == "true"

    def whole(self) -> dict[str, Any]:
        return {"text": self._reply.text, "usage": self._reply.usage or {"type": "duration", "seconds": 3}}


ANSWERS: dict[str, type[Answer]] = {
    "/v1/audio/transcriptions": TranscriptionAnswer,
    "/v1/audio/translations": TranscriptionAnswer,
    "/v1/images/generations": ImagesAnswer,
    "/v1/moderations": ModerationAnswer,
    "/v1/score": ScoreAnswer,
    "/v1/chat/completions": Answer,
    "/v1/completions": TextAnswer,
    "/v1/embeddings": EmbeddingsAnswer,
    "/v1/rerank": RerankAnswer,
    "/v1/responses": ResponseAnswer,
}


def event(document: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(document) + b"\n\n"
