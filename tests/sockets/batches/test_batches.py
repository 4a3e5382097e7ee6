"""Batches from their file to their files, by OpenAI's client."""

from typing import Any

import pytest

from tests.engine_double import Reply
from tests.sockets.batches.asking import asked_of, begun, client_of, config, content, ended, jsonl, line, lines

pytestmark = pytest.mark.usefixtures("brisk")


@pytest.fixture
async def server(serve, engine, url, tmp_path):
    return await serve(config(engine, url, tmp_path / "files"))


@pytest.fixture
async def client(server):
    async with client_of(server) as client:
        yield client


async def test_whole(client, engine):
    made = await begun(client, jsonl(lines(150)), metadata={"night": "job"})
    assert (made.object, made.status, made.endpoint, made.completion_window) == (
        "batch",
        "validating",
        "/v1/chat/completions",
        "24h",
    )
    assert made.expires_at == made.created_at + 86_400
    assert made.metadata == {"night": "job"}
    batch = await ended(client, made.id)
    assert batch.status == "completed"
    assert batch.model == "double"
    assert batch.request_counts.model_dump() == {"total": 150, "completed": 150, "failed": 0}
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    assert (batch.error_file_id, batch.errors, batch.failed_at, batch.cancelled_at) == (None, None, None, None)
    output = await content(client, batch.output_file_id)
    assert sorted(each["custom_id"] for each in output) == sorted(f"line {n}" for n in range(150))
    assert len({each["id"] for each in output}) == 150
    for each in output:
        assert set(each) == {"id", "custom_id", "response", "error"}
        assert each["id"].startswith("batch_req_")
        assert each["error"] is None
        assert each["response"]["status_code"] == 200
        assert each["response"]["body"]["object"] == "chat.completion"
    usages = [each["response"]["body"]["usage"] for each in output]
    assert batch.usage.input_tokens == sum(usage["prompt_tokens"] for usage in usages)
    assert batch.usage.output_tokens == sum(usage["completion_tokens"] for usage in usages)
    assert sorted(asked_of(engine)) == sorted(f"line {n}" for n in range(150))
    file = await client.files.retrieve(batch.output_file_id)
    assert (file.purpose, file.filename) == ("batch_output", f"{batch.id}_output.jsonl")


async def test_lines_that_fail(client, engine):
    error = {"error": {"message": "too long", "type": "BadRequestError", "param": None, "code": 400}}
    engine.rule = lambda request: (
        Reply(status=400, error=error) if request["messages"][0]["content"] == "line 1" else Reply()
    )
    bad = line("bad", {"model": "double", "messages": []})
    batch = await ended(client, (await begun(client, jsonl([*lines(3), bad]))).id)
    assert batch.status == "completed"
    assert batch.request_counts.model_dump() == {"total": 4, "completed": 2, "failed": 2}
    assert {each["custom_id"] for each in await content(client, batch.output_file_id)} == {"line 0", "line 2"}
    second, first = sorted(await content(client, batch.error_file_id), key=lambda each: str(each["custom_id"]))
    assert (first["custom_id"], first["response"]["status_code"], first["error"]) == ("line 1", 400, None)
    assert first["response"]["body"]["error"]["message"] == "too long"
    assert second["response"]["body"]["error"]["param"] == "messages"


ENDPOINTS: dict[str, tuple[dict[str, Any], str]] = {
    "/v1/chat/completions": ({"messages": [{"role": "user", "content": "Hello"}]}, "chat.completion"),
    "/v1/completions": ({"prompt": "Hello"}, "text_completion"),
    "/v1/embeddings": ({"input": "Hello"}, "list"),
    "/v1/responses": ({"input": "Hello"}, "response"),
}


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_each_endpoint(client, endpoint):
    body, kind = ENDPOINTS[endpoint]
    content_ = jsonl([line("one", {"model": "double", **body}, url=endpoint), line("two", body, url=endpoint)])
    batch = await ended(client, (await begun(client, content_, endpoint)).id)
    assert batch.status == "completed", batch
    output = await content(client, batch.output_file_id)
    assert [each["response"]["body"]["object"] for each in output] == [kind, kind]
    assert batch.usage.total_tokens > 0


@pytest.mark.parametrize("store", [None, True])
async def test_responses_are_stored_where_the_line_says_so(client, store):
    body = {"model": "double", "input": "Hello"} | ({} if store is None else {"store": store})
    batch = await ended(
        client, (await begun(client, jsonl([line("a", body, url="/v1/responses")]), "/v1/responses")).id
    )
    (output,) = await content(client, batch.output_file_id)
    answer = await client.responses.with_raw_response.retrieve(output["response"]["body"]["id"]) if store else None
    assert output["response"]["body"]["store"] is bool(store)
    assert answer is None or answer.status_code == 200


async def test_server_side_tools_run(client, engine):
    body = {
        "model": "double",
        "messages": [{"role": "user", "content": "What is 123 * 456?"}],
        "tandem": {"tools": ["calculate_math"]},
    }
    batch = await ended(client, (await begun(client, jsonl([line("math", body)]))).id)
    (output,) = await content(client, batch.output_file_id)
    assert "56088" in output["response"]["body"]["choices"][0]["message"]["content"]


async def test_a_list_in_pages(client):
    made = [(await begun(client, jsonl(lines(1)))).id for _ in range(3)]
    page = await client.batches.list(limit=2)
    assert [batch.id for batch in page.data] == made[:0:-1]
    assert page.has_more
    assert [batch.id async for batch in client.batches.list(limit=2)] == made[::-1]
    for each in made:
        await ended(client, each)


async def test_results_expire(client):
    made = await begun(client, jsonl(lines(1)), output_expires_after={"anchor": "created_at", "seconds": 7200})
    batch = await ended(client, made.id)
    file = await client.files.retrieve(batch.output_file_id)
    assert file.expires_at == pytest.approx(file.created_at + 7200, abs=2)
