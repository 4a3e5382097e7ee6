"""Reads what engines answer; does no I/O."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import orjson

from tandem_orchestrator.engines.event_reader import Event, EventReader
from tandem_orchestrator.errors import EngineError, KeyRefused, Malformed, Refused, Stopping

CLIENT_ERRORS: Final = 400
SERVER_ERRORS: Final = 500
HANDED_ON: Final = frozenset({429, 503})  # of an engine's 5xx and 429: what tells a client to come back later
PASSING: Final = frozenset({500, 502, 503, 504})  # may be gone at the next attempt
KEY_REFUSED: Final = frozenset({401, 403})  # the engine refuses the orchestrator, not the client
STATUSES: Final = frozenset(map(str, range(CLIENT_ERRORS, 600))) - {"401", "403"}  # that an error inside a 200 may have
WITHOUT_PATH: Final = frozenset({404, 405, 501})
UNFINISHED: Final = (None, "", "abort", "error")  # reasons that are none
MAX_MESSAGE: Final = 4096  # characters
MAX_RETRY_AFTER: Final = 86_400  # seconds
DONE: Final = b"[DONE]"
TRANSCRIBED: Final = "transcript.text.done"  # with which OpenAI's streams of a transcript end
LAST_WORDS: Final = (  # of vLLM, when it dies and when it stops
    "EngineCore encountered an issue",
    "cannot schedule new futures after",
)
ABORT: Final = b'"abort"'
MAYBE_ERROR: Final = b"error"


def json_object(raw: bytes) -> dict[str, Any]:
    """Return the object that `raw` holds. Raises `Malformed`."""
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the engine's answer is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise Malformed("the engine's answer is not a JSON object")
    return document


def whole_answer(raw: bytes, field: str) -> dict[str, Any]:
    """Return an answer whose `field` is a list with an object. Raises `EngineError`, also for an error inside a 200."""
    document = json_object(raw)
    parts = document.get(field)
    if isinstance(parts, list) and parts and isinstance(parts[0], dict):
        _check_abort(parts[0])
        return document
    if _tells_failure(document):
        raise _failure(document)
    raise Malformed(f"the engine's answer has no {field}")


def transcript(raw: bytes, headers: dict[bytes, bytes]) -> dict[str, Any]:
    """Return a transcript as an object with its `text`: JSON, or for the formats text, srt and vtt the text itself.

    Raises `EngineError`, also for an error inside a 200.
    """
    kind = headers.get(b"content-type", b"").lower()
    if kind.startswith(b"text/") and not kind.startswith(b"text/html"):
        return {"text": raw.decode(errors="replace")}
    if raw.startswith(b'"'):  # as some engines write the format text
        raw = b'{"text":%b}' % raw
    document = json_object(raw)
    if isinstance(document.get("text"), str):
        return document
    if _tells_failure(document):
        raise _failure(document)
    raise Malformed("the engine's answer has no text")


def check_first_events(data: bytes, *, ended: bool) -> bool:
    """Return true if a stream may begin with `data`, false if that is no whole event yet.

    Raises `EngineError` if it fails before it says anything: its request may go to another engine.
    """
    if data.endswith(b"\n\n") and ABORT not in data and MAYBE_ERROR not in data:
        return True
    reader = EventReader()
    events = reader.read(data)
    if ended and (rest := reader.end()):
        events.append(rest)
    spoken = False
    for event in events:
        if not spoken and (failure := failure_in(event)):
            raise failure
        for choice in choices_in(json_in(event)):
            _check_abort(choice)
            spoken = spoken or _says(choice)
    if ended and not events:
        raise Malformed("the engine's stream is empty")
    return bool(events)


def is_done(event: Event) -> bool:
    """Return true for [DONE], with which streams end."""
    return event.data is not None and event.data.strip() == DONE


def json_in(event: Event) -> dict[str, Any]:
    """Return the object that an event holds; an empty one if it holds something else."""
    try:
        document = orjson.loads(event.data or b"")
    except orjson.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}


def choices_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the choices of an answer, or of a chunk of one."""
    found = document.get("choices")
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []


def failure_in(event: Event) -> EngineError | None:
    """Return what an engine tells that went wrong, None if the event tells nothing like that."""
    if event.data is None:
        return None
    if event.name == b"error":
        return _failure(json_in(event))
    if MAYBE_ERROR in event.data and _tells_failure(document := json_in(event)):
        return _failure(document)
    return None


def finishes(raw: bytes) -> bool:
    """Return true if a choice of an answer ends in the events of `raw`, or a transcript does."""
    chunks = [json_in(event) for event in EventReader().read(raw)]
    finished = any(choice.get("finish_reason") not in UNFINISHED for chunk in chunks for choice in choices_in(chunk))
    return finished or any(chunk.get("type") == TRANSCRIBED for chunk in chunks)


def model_list(raw: bytes) -> list[dict[str, Any]]:
    """Return the entries of an engine's list of models. Raises `Malformed`."""
    data = json_object(raw).get("data")
    if not isinstance(data, list) or not all(isinstance(entry, dict) and "id" in entry for entry in data):
        raise Malformed("the engine's list of models has no `data` with an `id` in each entry")
    return data


def lacks_path(status: int, raw: bytes) -> bool:
    """Return true if an answer means that the engine does not know the path, and not that it does not know the model.

    Frameworks answer 404 in words of their own (FastAPI: `{"detail": "Not Found"}`), llama.cpp also 501 where what the
    path needs was not turned on; vLLM says 404 of a model, too, and names it.
    """
    return status in WITHOUT_PATH and b"model" not in raw.lower()


def without_path(path: str, model: str | None, status: int) -> Refused:
    """Return the error for a request that the engine of `model` has no path for."""
    asked = "this model" if model is None else f"the model {model!r}"
    message = f"{asked} cannot be asked at {path}, which its engine does not have: the engine answered {status}"
    fields = {"message": message, "type": "invalid_request_error", "param": "model", "code": "endpoint_not_supported"}
    return Refused(404, fields)


def refusal(status: int, headers: dict[bytes, bytes], raw: bytes) -> EngineError:
    """Return what an answer that is not 200 means to the client."""
    if status in KEY_REFUSED:
        return KeyRefused(f"the engine refused the orchestrator's key ({status})")
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        document = None
    fields = {"message": f"the engine answered {status}", **_error_fields(document)}
    return _refused(status, fields, _retry_after(headers.get(b"retry-after", b"")))


def _tells_failure(document: dict[str, Any]) -> bool:
    return bool(document.get("error")) or document.get("object") == "error"


def _failure(document: dict[str, Any]) -> EngineError:
    """Return what an error inside a 200 means to the client."""
    fields = {"message": "the engine failed, and does not say how", **_error_fields(document)}
    code = str(fields.get("code"))
    status = int(code) if code in STATUSES else SERVER_ERRORS
    return _refused(status, fields)


def _refused(status: int, fields: dict[str, Any], retry_after: bytes | None = None) -> EngineError:
    message = str(fields.get("message"))
    if status >= SERVER_ERRORS and any(words in message for words in LAST_WORDS):
        return Stopping(f"the engine stops: {message}")
    retryable = status in PASSING
    if status in HANDED_ON or CLIENT_ERRORS <= status < SERVER_ERRORS:
        return Refused(status, fields, retry_after, retryable=retryable)
    return Refused(502, {**fields, "type": "engine_error", "code": "engine_failed"}, retryable=retryable)


def _check_abort(choice: dict[str, Any]) -> None:
    # vLLM ends requests so, within a 200, while it shuts down.
    if choice.get("finish_reason") == "abort" and not _says(choice):
        raise Stopping("the engine aborted the request before it answered")


def _says(choice: dict[str, Any]) -> bool:
    """Return true if there is something of an answer in it."""
    message = choice.get("message") or choice.get("delta")
    spoken = isinstance(message, dict) and any(value for name, value in message.items() if name != "role")
    return spoken or bool(choice.get("text"))


def _error_fields(document: Any) -> dict[str, Any]:
    """Return what is of use to clients in whatever shape an engine gives its errors: OpenAI's fields, if they are
    there.
    """
    error = document.get("error", document) if isinstance(document, dict) else document
    if not isinstance(error, dict):
        error = {"message": error}
    fields: dict[str, Any] = {
        name: error[name] for name in ("type", "param", "code") if isinstance(error.get(name), str)
    }
    if isinstance(error.get("code"), int):
        fields["code"] = error["code"]
    if message := _message(error.get("message") or error.get("detail") or error.get("error_message")):
        fields["message"] = message
    return fields


def _message(value: Any) -> str | None:
    """Return a text for people. FastAPI gives a list, with one object for each field that is wrong."""
    if isinstance(value, list):
        value = "; ".join(text for item in value if isinstance(item, dict) and (text := _message(item.get("msg"))))
    return value[:MAX_MESSAGE] if isinstance(value, str) and value else None


def _retry_after(value: bytes) -> bytes | None:
    """Return an engine's Retry-After in whole seconds and within bounds; None where it is of no use."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value.decode("latin-1")) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return b"%d" % math.ceil(min(seconds, MAX_RETRY_AFTER)) if seconds >= 0 else None
