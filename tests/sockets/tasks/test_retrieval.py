"""Passages of a vector store in a task's prompt."""

import openai
import pytest

from tests.sockets.retrieval.stores.documents import PLANETS, RIVERS, Documents
from tests.sockets.tasks.conftest import FITS, PATH, TICKET, says, with_tasks

PROMPT = "{{ message }}\n{% for document in documents %}[{{ document.filename }}] {{ document.text }}\n{% endfor %}"


def task(store_id):
    retrieval = {"vectorStoreIds": [store_id], "query": "{{ message }}", "maxResults": 1}
    return {**TICKET, "prompt": PROMPT, "retrieval": retrieval}


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_the_prompt_has_what_was_found_for_the_tenant_that_asks(serve, engine, ask, url, tmp_path):
    keys = {"values": ["red:red", "blue:blue"]}
    settings = {"keys": keys, "database": {"url": url}, "files": {"folder": str(tmp_path / "bytes")}}
    orchestrator = await serve(with_tasks(engine, **settings))
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="red", max_retries=0) as client:
        store = await Documents(client).store(RIVERS, PLANETS)
    orchestrator.app.reload(with_tasks(engine, task(store.id), **settings))
    engine.rule = lambda _: says(FITS)
    given = {"input": {"message": "Which planet has rings?"}, "inputs": None}
    async with orchestrator.client.post(PATH, json=given, headers={"x-api-key": "red"}) as response:
        assert (response.status, (await response.json())["output"]) == (200, FITS)
    question, passage = engine.seen[-1].body["messages"][0]["content"].split("\n", 1)
    assert question == "Which planet has rings?"
    assert passage.startswith("[1.txt] Saturn has bright rings.")
    async with orchestrator.client.post(PATH, json=given, headers={"x-api-key": "blue"}) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (404, "vector_store_not_found")
    given = {"input": {"message": " "}}
    async with orchestrator.client.post(PATH, json=given, headers={"x-api-key": "red"}) as response:
        error = (await response.json())["error"]
        assert response.status == 400
        assert "the task's query" in error["message"]
    rail = {"name": "planets", "words": ["saturn", "rings"], "at": ["retrievedText"], "action": "mask"}
    orchestrator.app.reload(with_tasks(engine, task(store.id), guardrails=[rail], **settings))
    given = {"input": {"message": "Which planet has rings?"}}
    async with orchestrator.client.post(PATH, json=given, headers={"x-api-key": "red"}) as response:
        told = (await response.json())["tandem"]["guardrails"]
    assert told == [{"name": "planets", "at": "retrievedText", "action": "mask", "kinds": ["word"]}]
    question, passage = engine.seen[-1].body["messages"][0]["content"].split("\n", 1)
    assert question == "Which planet has rings?"
    assert passage.startswith("[1.txt] [WORD] has bright [WORD].")
