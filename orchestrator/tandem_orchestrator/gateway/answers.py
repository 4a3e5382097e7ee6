"""Reads what engines answer; does no I/O."""

from typing import Any

import orjson

from tandem_orchestrator.errors import EngineError, KeyRefused, Malformed, Refused, Stopping

CLIENT_ERRORS, SERVER_ERRORS = 400, 500
HANDED_ON = frozenset({429, 503})  # of an engine's 5xx and 429: what tells a client to come back later
PASSING = frozenset({500, 502, 503, 504})  # may be gone at the next attempt
KEY_REFUSED = frozenset({401, 403})  # the engine refuses the orchestrator, not the client
ERROR_EVENT = b'data: {"error"'
LAST_WORDS = ("EngineCore encountered an issue", "cannot schedule new futures after")  # vLLM's when it dies, and stops


def json_object(raw: bytes) -> dict[str, Any]:
    """The object that `raw` holds. Raises `Malformed`."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the engine's answer is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Malformed("the engine's answer is not a JSON object")
    return document


def whole_answer(raw: bytes, field: str) -> dict[str, Any]:
    """An answer whose `field` is a list with an object. Raises `EngineError`, also for an error inside a 200."""
    document = json_object(raw)
    parts = document.get(field)
    if isinstance(parts, list) and parts and isinstance(parts[0], dict):
        if parts[0].get("finish_reason") == "abort":
            _check_abort(parts[0])
        return document
    if "error" in document:
        raise Malformed(f"the engine answered 200 with an error: {_error_fields(document).get('message')}")
    raise Malformed(f"the engine's answer has no {field}")


def check_first_events(data: bytes) -> None:
    """Raises `Stopping` if a stream that begins so is aborted already."""
    if data.startswith(ERROR_EVENT):
        _check_last_words(data.decode(errors="replace"))
    if b'"abort"' not in data:
        return
    for line in data.splitlines():
        try:
            choices = orjson.loads(line.removeprefix(b"data:")).get("choices")
        except (orjson.JSONDecodeError, AttributeError):
            continue
        for choice in choices or ():
            if choice.get("finish_reason") == "abort":
                _check_abort(choice)


def model_list(raw: bytes) -> list[dict[str, Any]]:
    """The entries of an engine's list of models. Raises `Malformed`."""
    data = json_object(raw).get("data")
    if not isinstance(data, list) or not all(isinstance(entry, dict) and "id" in entry for entry in data):
        raise Malformed("the engine's list of models has no `data` with an `id` in each entry")
    return data


def refusal(status: int, headers: dict[bytes, bytes], raw: bytes) -> EngineError:
    """What an answer that is not 200 means to the client. Raises `Stopping`."""
    try:
        fields = _error_fields(orjson.loads(raw))
    except orjson.JSONDecodeError:
        fields = {}
    if status >= SERVER_ERRORS:
        _check_last_words(str(fields.get("message")))
    if status in KEY_REFUSED:
        return KeyRefused(f"the engine refused the orchestrator's key ({status})")
    retryable = status in PASSING
    if status in HANDED_ON or CLIENT_ERRORS <= status < SERVER_ERRORS:
        return Refused(status, fields, headers.get(b"retry-after"), retryable=retryable)
    return Refused(502, {**fields, "type": "engine_error", "code": "engine_failed"}, retryable=retryable)


def _check_abort(choice: dict[str, Any]) -> None:
    # vLLM ends requests so, within a 200, while it shuts down.
    said = choice.get("message") or choice.get("delta") or {}
    if not (said.get("content") or choice.get("text")):
        raise Stopping("the engine aborted the request before it answered")


def _check_last_words(said: str) -> None:
    if any(words in said for words in LAST_WORDS):
        raise Stopping(f"the engine stops: {said}")


def _error_fields(document: Any) -> dict[str, Any]:
    """OpenAI's error object, from whatever shape an engine gives its errors."""
    if not isinstance(document, dict):
        return {}
    error = document.get("error", document)
    if isinstance(error, str):
        return {"message": error}
    return {"message": error.get("message") or error.get("detail"), **error} if isinstance(error, dict) else {}
