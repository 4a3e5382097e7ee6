"""`POST /v1/audio/transcriptions` and `/v1/audio/translations`, as in OpenAI's API.

The file is on the disk until the request ends: fields that say where it is to go may follow it, and another attempt
sends it again from its beginning.
"""

from typing import Any, Final

import orjson
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.audio.spool import Spool, SpooledFile
from tandem_orchestrator.engines.endpoints import FORMS, Endpoint
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.files.arriving_body import ArrivingBody
from tandem_orchestrator.files.form import MOST_BESIDE, Form
from tandem_orchestrator.files.terms import cleaned
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.hot_path import Arrived
from tandem_orchestrator.gateway.relay import Events, relay_stream
from tandem_orchestrator.gateway.request import Deadlines, Request, too_large
from tandem_orchestrator.gateway.watch import ClientWatch

FILE: Final = "file"
MOST_BYTES: Final = 26_214_400  # of a file: what OpenAI takes, and vLLM unless it is told otherwise
SWITCH: Final = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}
JSON: Final = b"application/json"
FINER: Final = ("segments", "words", "logprobs", "tokens")
"""What of a transcript says its text again, in pieces."""
TEXT: Final = b"text/plain; charset=utf-8"


class Transcriptions:
    """Answers under one configuration; all of a process have one `spool`."""

    def __init__(
        self, generator: Generator, settings: OrchestratorSettings, deadlines: Deadlines, spool: Spool
    ) -> None:
        self._generator = generator
        self._most = max(MOST_BYTES, settings.limits.max_body_bytes)
        self._seconds = settings.timeouts.body_seconds
        self._deadlines = deadlines
        self._spool = spool

    async def serve(self, arrived: Arrived) -> None:
        """Answer. Raises `GatewayError`, also after a stream's start."""
        with self._spool.file() as file:
            request = _checked(FORMS[arrived.record.route], *await self._read(arrived, file), file)
            with ClientWatch(arrived.exchange, self._deadlines.request):
                await self._answer(request, arrived, file)

    async def _read(self, arrived: Arrived, file: SpooledFile) -> tuple[dict[str, str], dict[str, list[str]]]:
        """Keep the form's file; return its other fields, and those that may come several times."""
        form = self._form(arrived)
        texts: dict[str, str] = {}
        lists: dict[str, list[str]] = {}
        async for field in form.fields():
            name = field.name
            if name.endswith("[]"):
                lists.setdefault(name, []).append(await form.text())
            elif name in texts or (name == FILE and file.name):
                raise BadRequest(f"the form has `{name[:64]}` twice", param=name[:64], code="invalid_form")
            elif name == FILE:
                if "model" in texts:  # before many bytes are read for nothing
                    self._generator.find(texts["model"], arrived.principal)
                file.name = cleaned(field.filename or "")
                await file.write(form.chunks(), self._most, lambda: too_large(self._most))
            else:
                texts[name] = await form.text()
        return texts, lists

    def _form(self, arrived: Arrived) -> Form:
        headers = dict(arrived.headers)
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._most + MOST_BESIDE:
            raise too_large(self._most)
        body = ArrivingBody(arrived.receive, self._seconds)
        return Form(headers.get(b"content-type", b"").decode("latin-1"), FILE, body.piece)

    async def _answer(self, request: Request, arrived: Arrived, file: SpooledFile) -> None:
        record = arrived.record
        model = self._generator.find(request.model, arrived.principal)
        call = self._generator.call(request, model, arrived.principal, record)
        call.file, call.affinity = file, 0
        guard = self._generator.guard(model, arrived.principal, record)
        if guard is not None:
            await guard.input(request)
        if request.stream:
            if guard is not None and guard.output_rails:
                name = guard.output_rails[0].name
                raise BadRequest(f"guardrail {name} judges whole transcripts: leave `stream` out", param="stream")
            stream = EventStream(arrived.exchange, record, arrived.send)
            call.heartbeat = stream.heartbeat
            await relay_stream(self._generator.engines, call, request.body(), stream, Events())
            return
        raw, answer = await self._generator.engines.complete(call, request.body())
        if guard is not None:
            raw = await _judged(guard, raw, answer)
        kind = JSON if raw.startswith((b"{", b'"')) else TEXT
        headers = [(b"content-type", kind), (b"content-length", str(len(raw)).encode())]
        await arrived.send({"type": "http.response.start", "status": 200, "headers": headers})
        await arrived.send({"type": "http.response.body", "body": raw})


async def _judged(guard: Guard, raw: bytes, answer: dict[str, Any]) -> bytes:
    """Return a transcript in its form, as guardrails let it out. Raises `TextBlocked`."""
    plain, quoted = answer["text"] == raw.decode(errors="replace"), raw.startswith(b'"')
    masked = await guard.document(answer)
    if plain or quoted:
        text = answer["text"]
        return raw if not masked else text.encode() if plain else orjson.dumps(text)
    if masked:
        for name in FINER:  # what was found may be cut into several of them
            answer.pop(name, None)
    return orjson.dumps({**answer, "tandem": guard.shown}) if guard.decisions else raw


def _checked(endpoint: Endpoint, texts: dict[str, str], lists: dict[str, list[str]], file: SpooledFile) -> Request:
    """Return the request that a form is. Raises `BadRequest`."""
    if not file.name:
        raise BadRequest("`file` is missing in the form", param=FILE)
    if not file.size:
        raise BadRequest("`file` is empty", param=FILE, code="empty_file")
    if texts.get("n", "1") != "1":
        raise BadRequest("`n` must be 1: there is one transcript", param="n")
    said = texts.pop("stream", "false")
    if said not in SWITCH:
        raise BadRequest("`stream` must be true or false", param="stream")
    stream = SWITCH[said]
    if stream:
        texts["stream"] = "true"
    return Request(endpoint, {**texts, **lists}, texts.get("model"), stream=stream)
