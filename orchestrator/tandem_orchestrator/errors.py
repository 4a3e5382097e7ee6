"""Answers that are not 2xx, in OpenAI's shape.

GatewayError                the client's request gets `status` and the error body
├─ BadRequest          400  the body cannot be used
│  ├─ TextRefused      400  a text cannot be embedded
│  └─ TextBlocked      400  a guardrail lets a text go no further
├─ UntrustedHost       400  the Host header is none of ours
├─ Unauthorized        401  no key, or none that is known
├─ Forbidden           403  the key does not allow this
├─ UnknownModel        404  no engine serves the model
├─ NotFound            404  there is nothing under that path
├─ WrongMethod         405  the path takes another method
├─ Clash               409  something that is under way stands against it
├─ Gone                410  it was there, and is no longer
├─ TooSlow             408  the request did not arrive in time
├─ BodyTooLarge        413
├─ HeadersTooLarge     431
├─ InternalError       500  a defect of ours
├─ TookTooLong         504  the whole request took longer than it may
├─ RetryLater               with Retry-After
│  ├─ LimitExceeded    429  the key, the tenant or the service has used up a limit
│  ├─ Saturated        429  every engine has more waiting than it should
│  ├─ ShareExceeded    429  the queue is full, and the tenant has more in it than others
│  ├─ NoEngine         503  no engine came back in time, or too many requests wait for one already
│  ├─ EmbedderAway     503  no text can be embedded at the moment
│  ├─ ToolsAbsent      503  an MCP server that the request asks for cannot be reached
│  ├─ GuardrailAway    503  what judges texts gives no judgement
│  ├─ DatabaseDown     503  the database cannot be used
│  ├─ IssuerAway       503  a token cannot be checked
│  ├─ ShuttingDown     503  the time to drain is over
│  └─ FilesUnavailable 503  what keeps files cannot be used, or there is nothing
├─ StorageFull         507  the database, or what keeps files, has no room left
├─ FileDamaged         500  the bytes of a file are not those that were kept
└─ EngineError         502  the engine is at fault
   ├─ Unreachable      502  no connection
   ├─ Cut              502  the connection ended before the answer did
   │  └─ Stopping      502  the engine says that it stops
   ├─ DiedTwice        502  two engines died while they had the request
   ├─ Malformed        502  the answer is not what the protocol asks for
   │  └─ WrongVectors  502  a model's vectors cannot be used
   ├─ KeyUnusable      502  the engine's key cannot be read
   │  └─ KeyRefused    502  the engine refuses its key
   ├─ TimedOut         504  a phase took longer than its limit
   ├─ ToolLoopFailed   502  the model's tool calls lead nowhere
   ├─ Unfit            502  the model's answers do not fit the schema that was asked for
   └─ Refused          4xx, 5xx  the engine said no itself
ClientLeft                  nobody is left to answer
"""

import math
from typing import Any

import orjson
from starlette.types import Send


class ClientLeft(Exception):
    """The client closed its connection before the answer was complete."""


class GatewayError(Exception):
    """A refusal or failure that the client is told about."""

    status = 500
    type = "server_error"
    code: str | int | None = None
    """A number only where an engine has numbers for its errors."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        self.headers: list[tuple[bytes, bytes]] = []
        self.more: dict[str, Any] = {}
        """Further fields of the error's body."""

    def body(self) -> bytes:
        """Return `{"error": {"message", "type", "param", "code"}}`."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code, **self.more}
        return orjson.dumps({"error": error})

    def event(self) -> bytes:
        """Return the event that ends a stream with it."""
        return b"data: " + self.body() + b"\n\n"


class BadRequest(GatewayError):
    """The client's request cannot be used as it is."""

    status = 400
    type = "invalid_request_error"


class TextRefused(BadRequest):
    """One of the texts that were to be embedded cannot be; the others may be."""

    code = "text_refused"

    def __init__(self, message: str, *, position: int) -> None:
        super().__init__(message)
        self.position = position
        """Of the text among them, from 0 on."""


class TextBlocked(BadRequest):
    """A guardrail lets a text of the request, or what the request asks for, go no further."""

    code = "content_filter"

    def __init__(self, message: str, guardrail: dict[str, Any], *, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.more = {"guardrail": guardrail}


class UntrustedHost(GatewayError):
    """The request names a host that is not in `server.trustedHosts`."""

    status = 400
    type = "invalid_request_error"
    code = "untrusted_host"


class UnknownModel(GatewayError):
    """No engine serves the model."""

    status = 404
    type = "invalid_request_error"
    code = "model_not_found"


class Unauthorized(GatewayError):
    """No key came along, or none that is known here."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers.append((b"www-authenticate", b"Bearer"))


class Forbidden(GatewayError):
    """The key is good, but not for this."""

    status = 403
    type = "permission_error"
    code = "not_allowed"


class WrongMethod(GatewayError):
    """The path is there, for another method."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.headers.append((b"allow", allowed.encode()))


class NotFound(GatewayError):
    """There is nothing under that path."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class Clash(GatewayError):
    """Something that is under way, or has been done, stands against it."""

    status = 409
    type = "invalid_request_error"
    code = "conflict"


class Gone(GatewayError):
    """It was there, and is no longer."""

    status = 410
    type = "invalid_request_error"
    code = "gone"


class TooSlow(GatewayError):
    """The request's headers or body did not arrive within `timeouts.bodySeconds`."""

    status = 408
    type = "timeout_error"
    code = "request_timeout"


class BodyTooLarge(GatewayError):
    """The body exceeds `limits.maxBodyBytes`."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"


class HeadersTooLarge(GatewayError):
    """The headers exceed `limits.maxHeaderBytes`."""

    status = 431
    type = "invalid_request_error"
    code = "headers_too_large"


class InternalError(GatewayError):
    """A defect of the orchestrator, which the log tells more of."""

    code = "internal_error"

    def __init__(self) -> None:
        super().__init__("an internal error; the log has it under this request's id")


class TookTooLong(GatewayError):
    """The request was not answered within `timeouts.requestSeconds`."""

    status = 504
    type = "timeout_error"
    code = "request_timeout"


class RetryLater(GatewayError):
    """The request may come again after `retry_after` seconds."""

    def __init__(self, message: str, *, retry_after: float, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param=param, code=code)
        self.headers.append((b"retry-after", str(max(1, math.ceil(retry_after))).encode()))


class LimitExceeded(RetryLater):
    """The key, its tenant or the whole service has used up a limit."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class Saturated(RetryLater):
    """Every replica that could answer has `routing.maxWaiting` requests waiting."""

    status = 429
    type = "overloaded_error"
    code = "engine_saturated"


class ShareExceeded(RetryLater):
    """The queue is full, and the tenant has more in it than others do."""

    status = 429
    type = "rate_limit_error"
    code = "queue_share_exceeded"


class NoEngine(RetryLater):
    """No engine was there within `hold.seconds`, or the bounds of `hold` are reached."""

    status = 503
    type = "overloaded_error"
    code = "no_engine"


class EmbedderAway(RetryLater):
    """What makes vectors of texts cannot be asked at the moment; it says why."""

    status = 503
    code = "embedding_unavailable"


class ToolsAbsent(RetryLater):
    """The tools that the request asks for are not there at the moment."""

    status = 503
    code = "tools_unavailable"


class GuardrailAway(RetryLater):
    """What a guardrail asks gave no judgement, and without one no text passes."""

    status = 503
    code = "guardrail_unavailable"


class DatabaseDown(RetryLater):
    """The database cannot be used, so that what only it knows cannot be told."""

    status = 503
    code = "database_unavailable"


class IssuerAway(RetryLater):
    """The keys that would tell whether a token is good are not here, or not yet."""

    status = 503
    code = "issuer_unavailable"


class FilesUnavailable(RetryLater):
    """What keeps the bytes of files cannot be used, or nothing is configured to keep them."""

    status = 503
    code = "files_unavailable"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message, retry_after=5, code=code)


class FileDamaged(GatewayError):
    """The bytes of a file are missing, or others than were kept."""

    code = "file_damaged"


class StorageFull(GatewayError):
    """The database, or what keeps files, has no room left, so that nothing can be stored."""

    status = 507
    code = "storage_full"


class ShuttingDown(RetryLater):
    """The process ends, and this answer with it; another one may give it at once."""

    status = 503
    code = "shutting_down"

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=1)


class EngineError(GatewayError):
    """The engine failed; `reason` is a metric label."""

    status = 502
    type = "engine_error"
    reason = "error"
    retryable = False
    """Another attempt may go better."""
    unsent = False
    """No engine can have seen the request."""

    def __init__(self, message: str, *, detail: str | None = None, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.problem = message if detail is None else f"{message} ({detail})"
        """For those who run the service: may name the engine's address, of which clients hear nothing."""


class Unreachable(EngineError):
    """No connection to the engine came about."""

    code = reason = "engine_unreachable"
    retryable = unsent = True


class Cut(EngineError):
    """The connection ended before the answer did: most often the engine died."""

    code = reason = "engine_cut"
    retryable = True
    stale = False
    """The connection was an older one, and closed without a byte so soon that it may have been closed before."""


class Stopping(Cut):
    """The engine says that it dies or shuts down, which its checks may not show yet."""


class DiedTwice(EngineError):
    """Two engines died while they had the request, so that it may be the cause and goes to no other one."""

    code = reason = "engine_died_twice"

    def __init__(self) -> None:
        super().__init__("two engines died, or cut the connection, while they had this request; it is not sent again")


class Malformed(EngineError):
    """The engine's answer cannot be understood."""

    code = reason = "engine_malformed"
    retryable = True


class WrongVectors(Malformed):
    """The vectors that a model made cannot be used."""

    code = reason = "engine_vectors"


class KeyUnusable(EngineError):
    """The engine's key cannot be read."""

    code = "engine_key_refused"
    reason = "engine_key"
    retryable = unsent = True


class KeyRefused(KeyUnusable):
    """The engine refuses its key."""

    unsent = False


class TimedOut(EngineError):
    """A phase of the exchange took longer than its limit: `connect`, `first_byte` or `idle`."""

    status = 504
    type = "timeout_error"
    code = reason = "engine_timeout"

    def __init__(self, message: str, *, phase: str, detail: str | None = None) -> None:
        super().__init__(message, detail=detail)
        self.phase = phase
        self.retryable = self.unsent = phase == "connect"


class ToolLoopFailed(EngineError):
    """The model keeps asking for tools in a way that cannot be served."""

    code = reason = "tool_loop"


class Unfit(EngineError):
    """The model's answers do not fit the JSON schema that the request asks for."""

    code = reason = "structured_output_invalid"


class Full(EngineError):
    """So many requests wait inside the engine that it took no other one: it is well, and has seen nothing of it."""

    status = 429
    type = "overloaded_error"
    code = "engine_saturated"
    reason = "engine_full"
    retryable = True

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.headers.append((b"retry-after", str(max(1, math.ceil(retry_after))).encode()))


class Refused(EngineError):
    """The engine answered with an error of its own, which is handed on."""

    reason = "refused"

    def __init__(
        self, status: int, error: dict[str, Any], retry_after: bytes | None = None, *, retryable: bool = False
    ) -> None:
        super().__init__(str(error.get("message") or f"the engine answered {status}"))
        self.status = status
        self.type = str(error.get("type") or self.type)
        self.param = error.get("param")
        self.code = error.get("code")
        self.retryable = retryable
        if retry_after is not None:
            self.headers.append((b"retry-after", retry_after))


async def send_error(send: Send, error: GatewayError) -> None:
    """Answer a request with `error`."""
    body = error.body()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *error.headers,
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
