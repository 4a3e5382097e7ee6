"""Whatever the OpenAPI page allows, or forbids, is sent to each of its operations: no answer is a server's error."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.engine_double import EngineDouble
from tests.engine_double.embedding import Embedding
from tests.engine_double.http import Exchange
from tests.engine_double.reply import Reply, plausible
from tests.sockets.running import config_for

EXAMPLES = 12  # of each operation
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
UNREAD = (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError)
TYPES = (
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
    "multipart/form-data",
    "",
    "application/xml",
)
KEY, ADMIN = {"authorization": "Bearer key-a"}, {"authorization": "Bearer the-admin-key"}
SOMETIMES = st.sampled_from([True, True, True, False])


class WaryDouble(EngineDouble):
    """It answers 400 to what it cannot read, as engines do."""

    async def _serve(self, exchange: Exchange, path: str) -> None:
        try:
            await super()._serve(exchange, path)
        except UNREAD:
            await exchange.answer(400, b'{"error":{"message":"unreadable","type":"BadRequestError","code":400}}')


def said(request: dict[str, Any]) -> Reply:
    return plausible(request) if "input" not in request else Embedding(dimension=8)({**request, "dimensions": None})


@pytest.fixture
async def engine():
    async with WaryDouble() as double:
        double.rule, double.remember = said, False
        yield double


@pytest.fixture
async def orchestrator(serve, engine, url, tmp_path):
    (tmp_path / "admin").write_text("the-admin-key\n")
    return await serve(
        config_for(
            engine,
            database={"url": url, "poolSize": 10, "statementTimeoutSeconds": 30},
            files={"folder": str(tmp_path / "files")},
            retrieval={"embedding": {"model": "double"}},
            keys={"values": ["team-a:key-a"], "admin": {"file": str(tmp_path / "admin")}},
            tools={"enabled": ["calculate_math"]},
            tasks=[{"name": "analyze", "prompt": "Hello", "output": {"type": "string"}}],
        )
    )


class Asker:
    """A client, and what it knows there is: names of parameters and fields, and what they may hold."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self.session = session
        self.known: dict[str, list[Any]] = {
            "model": ["double"],
            "task": ["analyze"],
            "completion_window": ["24h"],
            "query": ["words"],
            "items": [[{"role": "user", "content": "hello"}]],
            "input": ["hello"],
            "documents": [["words"]],
            "text_1": ["hello"],
            "text_2": [["words"]],
            "messages": [[{"role": "user", "content": "hello"}]],
            "max_tokens": [16],
            "prompt": ["hello"],
            "metadata": [{"a": "b"}],
            "attributes": [{"a": 1}],
            "tenant": ["x"],
            "purpose": ["assistants"],
            "file": [b"words"],
            "data": [b"four"],
            "bytes": [4],
            "filename": ["x.txt"],
            "mime_type": ["text/plain"],
            "endpoint": ["/v1/embeddings"],
        }

    def make(self, path: str, **fields: Any) -> str:
        answer = self.session.post(self.url + path, json=fields, headers=ADMIN if path == "/admin/keys" else KEY)
        assert answer.status_code < 300, answer.text
        return str(answer.json()["id"])

    def upload(self, path: str, name: str, field: str, content: bytes, **texts: str) -> str:
        answer = self.session.post(self.url + path, files={field: (name, content)}, data=texts, headers=KEY)
        assert answer.status_code < 300, answer.text
        return str(answer.json()["id"])

    def begin(self) -> None:
        """Makes one of each, and of uploads two."""
        known = self.known
        file = self.upload("/v1/files", "a.txt", "file", b"some words", purpose="assistants")
        line = b'{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":{"model":"double","input":"x"}}'
        lines = self.upload("/v1/files", "a.jsonl", "file", line, purpose="batch")
        store = self.make("/v1/vector_stores", name="x", file_ids=[file])
        upload = self.make("/v1/uploads", bytes=4, filename="x", mime_type="text/plain", purpose="assistants")
        other = self.make("/v1/uploads", bytes=4, filename="x", mime_type="text/plain", purpose="assistants")
        part = self.upload(f"/v1/uploads/{upload}/parts", "x", "data", b"four")
        response = self.make("/v1/responses", input="hello", background=True)
        talk = self.make("/v1/conversations", items=[{"role": "user", "content": "hello"}])
        items = self.session.get(f"{self.url}/v1/conversations/{talk}/items", headers=KEY).json()["data"]
        several = self.make(f"/v1/vector_stores/{store}/file_batches", file_ids=[file])
        batch = self.make("/v1/batches", input_file_id=lines, endpoint="/v1/embeddings", completion_window="24h")
        known |= {"store_id": [store], "file_id": [file], "input_file_id": [lines], "response_id": [response]}
        known |= {"conversation_id": [talk], "item_id": [items[0]["id"]]}
        known |= {"upload_id": [upload, other], "part_ids": [[part]], "file_ids": [[file]]}
        known |= {"/v1/batches": [batch], "/v1/vector_stores": [several], "previous_response_id": [response]}
        known["key_id"] = [self.make("/admin/keys", tenant="x")]

    def informed(self, draw: Any, path: str, fields: Any) -> Any:
        """Puts what there is in the place of what was made up, most of the time."""
        if not isinstance(fields, dict):
            return fields
        changed = {name: value for name, value in fields.items() if value is not None}
        for name in fields:
            choice = self.known.get(path if name == "batch_id" else name)
            if choice and draw(SOMETIMES):
                changed[name] = draw(st.sampled_from(choice))
        return changed

    def send(self, draw: Any, case: Any) -> requests.Response:
        """Sends a case; now and then with a body and of a type that nobody asked for."""
        prefix = "/".join(case.operation.path.split("/")[:3])
        case.path_parameters = self.informed(draw, prefix, case.path_parameters)
        case.body = self.informed(draw, prefix, case.body if draw(st.booleans()) else plain(case))
        request = case.as_transport_kwargs(base_url=self.url)
        headers = request["headers"] = CaseInsensitiveDict(request["headers"])
        if draw(SOMETIMES):
            headers.pop("x-api-key", None)
            headers.update(ADMIN if prefix == "/admin/keys" else KEY)
        if case.method in ("POST", "PATCH") and not draw(SOMETIMES):
            for name in ("json", "data", "files"):
                request.pop(name, None)
            request["data"] = draw(st.one_of(st.binary(max_size=64), st.sampled_from(RAW)))
            headers["content-type"] = draw(st.sampled_from(TYPES))
        return self.session.request(**request, timeout=60)


def plain(case: Any) -> Any:
    """A body of the fields that there is something for."""
    bodies = case.operation.definition.raw.get("requestBody", {}).get("content", {}).values()
    for body in bodies:
        return dict.fromkeys(body["schema"].get("properties", ()))
    return case.body


RAW = (
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'{"a":"\\ud800"}',
    b'{"a":"\xff"}',
    b"[" * 100_000,
    b'{"a":' * 1000 + b"1" + b"}" * 1000,
    b'{"metadata":{"a":"\\u0000"},"name":"\\u0000"}',
    b'{"name":"a","name":"b"}',
    b'{"bytes":' + b"9" * 5000 + b"}",
)


def in_order(document: Any) -> Iterator[Any]:
    """The operations of a page: first those that make and show, last those that delete, the innermost first."""
    operations = [found.ok() for found in document.get_all_operations()]
    ending = [each for each in operations if each.method == "delete" or each.path.endswith("/cancel")]
    yield from (each for each in operations if each not in ending)
    yield from sorted(ending, key=lambda each: (each.method == "delete", -len(each.path)))


def ask(asker: Asker, operation: Any, examples: int) -> tuple[set[int], list[str]]:
    """The statuses of an operation's answers, and what was wrong with them."""
    seen: set[int] = set()
    wrong: list[str] = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data(), case=st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)))
    def send(data: Any, case: Any) -> None:
        answer = asker.send(data.draw, case)
        seen.add(answer.status_code)
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as failures:
            request = answer.request
            asked = f"{request.method} {request.url}\n{request.body!r:.500}\n"
            wrong.extend(f"{asked}{answer.status_code} {answer.text:.500}\n{each}" for each in failures.exceptions)

    send()
    return seen, wrong


def ask_all(url: str, examples: int = EXAMPLES) -> tuple[dict[str, set[int]], list[str]]:
    """The statuses of each operation's answers, and all that was wrong."""
    statuses: dict[str, set[int]] = {}
    wrong: list[str] = []
    with requests.Session() as session:
        asker = Asker(url, session)
        asker.begin()
        for operation in in_order(schemathesis.openapi.from_url(f"{url}/openapi.json")):
            seen, found = ask(asker, operation, examples)
            statuses[f"{operation.method.upper()} {operation.path}"] = seen
            wrong += found
    return statuses, wrong


async def test_no_request_makes_it_fail(orchestrator):
    statuses, wrong = await asyncio.to_thread(ask_all, orchestrator.url)
    assert not wrong, "\n\n".join(wrong[:20])
    never_well = {name for name, seen in statuses.items() if min(seen) >= 300}
    assert never_well <= {"POST /v1/batches/{batch_id}/cancel"}  # the batch has ended by then
