"""What a batch may be, and what becomes of one that may not."""

from typing import Any

import pytest

from tests.sockets.batches.asking import CHAT, begun, client_of, config, ended, jsonl, line, lines, until_batch

pytestmark = pytest.mark.usefixtures("brisk")


@pytest.fixture
async def server(serve, engine, url, tmp_path):
    engine.adapters.append("other")
    limits = {"maxBodyBytes": 4096, "maxDepth": 8}
    return await serve(config(engine, url, tmp_path / "files", limits=limits, batches={"maxQueued": 2}))


@pytest.fixture
async def client(server):
    async with client_of(server) as client:
        yield client


DEEP = line("deep", {"messages": [[[[[[[[[["x"]]]]]]]]]]})
INPUTS = {
    "blank": (b"\n  \n\r\n", [("empty_file", None)]),
    "no JSON": (b"{", [("invalid_json", 1)]),
    "no object": (b"[]\n", [("invalid_json", 1)]),
    "not UTF-8": (b'{"custom_id": "\xff"}\n', [("invalid_json", 1)]),
    "after blank lines": (b"\n\n{", [("invalid_json", 3)]),
    "deep": (jsonl([DEEP]), [("invalid_json", 1)]),
    "no id": (jsonl([{"method": "POST", "url": CHAT, "body": {}}]), [("invalid_custom_id", 1)]),
    "an empty id": (jsonl([line("")]), [("invalid_custom_id", 1)]),
    "a long id": (jsonl([line("x" * 513)]), [("invalid_custom_id", 1)]),
    "an id twice": (jsonl([*lines(2), line("line 0")]), [("duplicate_custom_id", 3)]),
    "another method": (jsonl([line("a", method="GET")]), [("invalid_method", 1)]),
    "another endpoint": (jsonl([line("a"), line("b", url="/v1/embeddings")]), [("mismatched_url", 2)]),
    "no body": (jsonl([line("a") | {"body": None}]), [("invalid_request", 1)]),
    "a stream": (jsonl([line("a", {"stream": True})]), [("invalid_request", 1)]),
    "a model that is no name": (jsonl([line("a", {"model": 1})]), [("invalid_request", 1)]),
    "two models": (jsonl([line("a"), line("b", {"model": "other"})]), [("mismatched_model", 2)]),
    "an unknown model": (jsonl([line("a"), line("b", {"model": "none"})]), [("model_not_found", 2)]),
    "a huge line": (jsonl([line("a"), line("b", {"x": "y" * 5000}), line("c")]), [("line_too_large", 2)]),
    "a huge line at the end": (jsonl([line("a"), line("b", {"x": "y" * 5000})])[:-1], [("line_too_large", 2)]),
    "many": (b"x\n" * 300, [("invalid_json", n + 1) for n in range(100)]),
}


@pytest.mark.parametrize("name", INPUTS)
async def test_inputs(client, engine, name):
    given, problems = INPUTS[name]
    batch = await ended(client, (await begun(client, given)).id)
    assert batch.status == "failed"
    assert batch.failed_at is not None
    assert batch.errors.object == "list"
    assert [(each.code, each.line) for each in batch.errors.data] == problems
    assert all(each.message for each in batch.errors.data)
    assert (batch.output_file_id, batch.error_file_id) == (None, None)
    assert not engine.seen


async def test_too_many_lines(client, engine, monkeypatch):
    monkeypatch.setattr("tandem_orchestrator.batches.validation.MOST_LINES", 3)
    batch = await ended(client, (await begun(client, jsonl(lines(4)))).id)
    assert [(each.code, each.line) for each in batch.errors.data] == [("too_many_lines", 4)]
    assert not engine.seen


async def test_the_last_line_needs_no_end(client):
    batch = await ended(client, (await begun(client, jsonl(lines(2))[:-1])).id)
    assert batch.request_counts.completed == 2


async def test_a_byte_order_of_lines_from_windows(client):
    batch = await ended(client, (await begun(client, jsonl(lines(2)).replace(b"\n", b"\r\n"))).id)
    assert batch.request_counts.completed == 2


REQUESTS: dict[str, tuple[dict[str, Any], int, str | None]] = {
    "no file": ({"input_file_id": None}, 400, "input_file_id"),
    "an unknown file": ({"input_file_id": "file-1"}, 404, None),
    "an unknown endpoint": ({"endpoint": "/v1/moderations"}, 400, "endpoint"),
    "no window": ({"completion_window": None}, 400, "completion_window"),
    "a window of nothing": ({"completion_window": "0h"}, 400, "completion_window"),
    "a long window": ({"completion_window": "8d"}, 400, "completion_window"),
    "a window of weeks": ({"completion_window": "1w"}, 400, "completion_window"),
    "metadata that is none": ({"metadata": {"a": 1}}, 400, "metadata.a"),
    "another anchor": ({"output_expires_after": {"anchor": "x"}}, 400, "output_expires_after.anchor"),
    "a short life": (
        {"output_expires_after": {"anchor": "created_at", "seconds": 1}},
        400,
        "output_expires_after.seconds",
    ),
    "an unknown field": ({"endpiont": "/v1/responses"}, 400, "endpiont"),
}


@pytest.mark.parametrize("name", REQUESTS)
async def test_requests(server, client, name):
    changes, status, param = REQUESTS[name]
    file = await client.files.create(file=("input.jsonl", jsonl(lines(1))), purpose="batch")
    body = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"} | changes
    async with server.client.post("/v1/batches", json=body) as response:
        answer = await response.json()
    assert (response.status, answer["error"]["param"]) == (status, param), answer


async def test_another_purpose(server, client):
    file = await client.files.create(file=("input.txt", b"x"), purpose="user_data")
    body = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
    async with server.client.post("/v1/batches", json=body) as response:
        answer = await response.json()
    assert (response.status, answer["error"]["code"]) == (400, "invalid_purpose")


@pytest.mark.parametrize("window", ["1h", "7d", "168h"])
async def test_windows(client, window):
    made = await begun(client, jsonl(lines(1)), completion_window=window)
    hours = int(window[:-1]) * (24 if window.endswith("d") else 1)
    assert made.expires_at == made.created_at + hours * 3600
    await ended(client, made.id)


async def test_unknown_batches(server):
    for method, path in (("GET", "batch_1"), ("POST", "batch_1/cancel"), ("GET", "x%00y")):
        async with server.client.request(method, f"/v1/batches/{path}") as response:
            assert response.status == 404
            assert (await response.json())["error"]["code"] == "batch_not_found"


async def test_as_many_as_a_tenant_may_queue(client, server, engine):
    engine.loading = True
    made = [await begun(client, jsonl(lines(1))) for _ in range(2)]
    file = await client.files.create(file=("input.jsonl", jsonl(lines(1))), purpose="batch")
    body = {"input_file_id": file.id, "endpoint": CHAT, "completion_window": "24h"}
    async with server.client.post("/v1/batches", json=body) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (429, "batch_queue_full")
        assert response.headers["retry-after"] == "60"
    await client.batches.cancel(made[0].id)
    await until_batch(client, made[0].id, lambda batch: batch.status == "cancelled")
    third = await begun(client, jsonl(lines(1)))
    engine.loading = False
    for each in (made[1], third):
        await ended(client, each.id)


async def test_an_input_that_was_deleted(client, server, engine):
    server.app.services.state.draining = True  # nothing begins
    made = await begun(client, jsonl(lines(1)))
    await client.files.delete(made.input_file_id)
    server.app.services.state.draining = False
    batch = await ended(client, made.id)
    assert (batch.status, batch.errors.data[0].code) == ("failed", "file_not_found")
    assert not engine.seen
