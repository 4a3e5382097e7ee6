"""Chunks of a stream that are known by one before them, and are what a full reading finds in them."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tandem_orchestrator.gateway.text_chunks import TextChunks

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


def event(delta: dict[str, Any], **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": None, **fields.pop("choice", {})}
    return b"data: " + orjson.dumps({"id": "x", "choices": [choice], "usage": None, **fields})


def learnt(chunk: bytes, text: str = "Hi") -> TextChunks:
    chunks = TextChunks()
    chunks.learn(chunk, text)
    return chunks


@given(TEXTS, TEXTS, st.sampled_from(["content", "reasoning", "reasoning_content"]))
@example("content", "role", "content")
@example("x", 'a"b\\', "content")
@example("another text", "another text", "content")
def test_another_text(first, then, field):
    """It is read where the first could be learnt from, which JSON's other spellings and names may prevent."""
    chunks = learnt(event({field: first}), first)
    read = chunks.text(event({field: then}))
    assert read is None or orjson.loads(read) == then
    assert learnt(event({field: "Hi"})).text(event({field: then})) == orjson.dumps(then)


@given(st.binary(max_size=24))
@example(b'a","role":"user')
@example(b'"')
@example(b'a"\n"')
@example(b"a\\")
@example(b"\xff")
def test_whatever_stands_in_the_place_of_the_text(inner):
    """What is taken is the one text that the whole chunk, read as JSON, has."""
    before, _, after = event({"content": "Hi"}).partition(b"Hi")
    read = learnt(event({"content": "Hi"})).text(before + inner + after)
    if read is not None:
        chunk = orjson.loads((before + inner + after).removeprefix(b"data: "))
        assert chunk["choices"][0]["delta"] == {"content": orjson.loads(read)}
        assert b"\n" not in read


def test_escapes_stay_as_they_came():
    chunk = event({"content": "Hi"}).replace(b"Hi", b"\\u00e9\\n")
    assert learnt(event({"content": "Hi"})).text(chunk) == b'"\\u00e9\\n"'


@pytest.mark.parametrize(
    "chunk",
    [
        event({"content": "Hi", "reasoning": "Hm"}),
        event({"content": "Hi", "tool_calls": [{"index": 0}]}),
        event({"content": "Hi"}, usage={"prompt_tokens": 1}),
        event({"content": "Hi"}, error={"message": "x"}),
        event({"content": "Hi"}, choice={"finish_reason": "stop"}),
        event({"content": "Hi"}).replace(b'"content":"Hi"', b'"content":"Hi","content":"Ho"'),
        event({"content": "Hi"}, id="Hi"),
        event({"content": "Hi"}).replace(b"Hi", b"\\u0048i"),
        b'data: {"choices": [{"delta": {"content": "Hi"}}, {"delta": {"content": "Hi"}}]}',
        b'data: {"choices": "Hi"}',
        b'data: ["Hi"]',
    ],
)
def test_chunks_that_are_not_learnt(chunk):
    """They say more, or leave it open which text is the one."""
    assert learnt(chunk).text(chunk) is None


@pytest.mark.parametrize(
    "chunk",
    [
        event({"content": ""}),
        event({"reasoning": "Ho"}),
        event({"content": "Ho"}, choice={"finish_reason": "stop"}),
        event({"content": "Ho"}, id="y"),
        event({"content": "Ho"})[:-1],
        b"data: [DONE]",
        b"",
    ],
)
def test_chunks_that_are_not_alike(chunk):
    assert learnt(event({"content": "Hi"})).text(chunk) is None


def test_forgotten():
    chunks = learnt(event({"content": "Hi"}))
    chunks.forget()
    assert chunks.text(event({"content": "Ho"})) is None
