"""What becomes of a record when its request has ended: metrics, one log line, the end of its trace."""

import logging
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from starlette.types import Scope

from tandem_orchestrator.observability import logs
from tandem_orchestrator.observability.metrics import (
    REQUEST_LATENCY,
    TIME_PER_OUTPUT_TOKEN,
    TIME_TO_FIRST_TOKEN,
    TOKENS,
)
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.observability.record import OTHER, Record
from tandem_orchestrator.observability.trace import NO_TRACE

QUIET_PATHS = frozenset({"/live", "/ready", "/metrics"})
MAX_TENANTS = 1000  # as metric labels; further ones are counted together

_latency = Labelled(REQUEST_LATENCY)
_first_token = Labelled(TIME_TO_FIRST_TOKEN)
_output_token = Labelled(TIME_PER_OUTPUT_TOKEN)
_tokens = Labelled(TOKENS)
_tenants: set[str] = set()


def report(record: Record, scope: Scope) -> None:
    """Reports a request that has ended."""
    seconds = perf_counter() - record.started
    found = scope.get("route")
    route = record.route if found is None else found.path
    method, path = scope["method"], scope["path"]
    _observe(record, seconds, route)
    if record.trace is not NO_TRACE:
        record.trace.end(method, route, record.status, _attributes(record))
    if logs.enabled(logging.DEBUG if path in QUIET_PATHS else logging.INFO):
        logs.write_request(_fields(record, seconds, method, path))


def _observe(record: Record, seconds: float, route: str) -> None:
    _latency[route, record.status].observe(seconds)
    model = record.model
    if model is None:
        return
    prompt, completion = record.prompt_tokens, record.completion_tokens
    if prompt or completion:
        tenant = _tenant(record)
        _tokens[tenant, model, "prompt"].inc(prompt)
        _tokens[tenant, model, "completion"].inc(completion)
    if record.first_byte is not None:
        _first_token[model].observe(record.first_byte)
        if completion > 1:
            _output_token[model].observe((seconds - record.first_byte) / (completion - 1))


def _tenant(record: Record) -> str:
    tenant = record.tenant or "anonymous"
    if tenant not in _tenants:
        if len(_tenants) >= MAX_TENANTS:
            return OTHER
        _tenants.add(tenant)
    return tenant


def _fields(record: Record, seconds: float, method: str, path: str) -> dict[str, Any]:
    """The log line; what a request had nothing to do with is left out."""
    fields: dict[str, Any] = {
        "event": "request",
        "request_id": record.request_id,
        "method": method,
        "path": path,
        "status": record.status,
        "duration_ms": _ms(seconds),
        "level": "info",
        "time": datetime.now(UTC),
    }
    if record.tenant is not None:
        fields["tenant"], fields["key_id"] = record.tenant, record.key_id
    if record.model is not None:
        _add_answer(fields, record)
    if record.error:
        fields["error"] = record.error
    if record.trace.id:
        fields["trace_id"] = record.trace.id
    if record.bodies is not None:
        fields["request_body"] = record.bodies.request.decode(errors="replace")
        fields["answer_body"] = record.bodies.answer.decode(errors="replace")
    return fields


def _add_answer(fields: dict[str, Any], record: Record) -> None:
    fields["model"], fields["stream"], fields["upstream"] = record.model, record.stream, record.upstream
    if record.completion_tokens or record.prompt_tokens:
        fields["prompt_tokens"], fields["completion_tokens"] = record.prompt_tokens, record.completion_tokens
    if record.first_byte is not None:
        fields["first_byte_ms"] = _ms(record.first_byte)
    if record.engine_seconds:
        fields["engine_ms"] = _ms(record.engine_seconds)
    if record.queue_seconds:
        fields["queue_ms"] = _ms(record.queue_seconds)
    if record.tool_calls:
        fields["tools_ms"], fields["tool_calls"] = _ms(record.tool_seconds), record.tool_calls


def _attributes(record: Record) -> dict[str, Any]:
    return {
        "gen_ai.request.model": record.model,
        "gen_ai.usage.input_tokens": record.prompt_tokens or None,
        "gen_ai.usage.output_tokens": record.completion_tokens or None,
        "error.type": record.error,
        "tandem.request_id": record.request_id,
        "tandem.tenant": record.tenant,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
