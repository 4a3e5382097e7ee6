"""No text of a stream passes guardrails unseen, however an engine writes it; what is clean passes as it came."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tandem_contract.config import GuardedText, GuardrailAction, ModelSettings
from tandem_orchestrator.engines.catalogue import Model
from tandem_orchestrator.engines.dispatch import Call
from tandem_orchestrator.engines.endpoints import CHAT
from tandem_orchestrator.engines.whole_stream import WholeStream
from tandem_orchestrator.errors import EngineError, GuardrailAway
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.guarded_stream import GuardedStream
from tandem_orchestrator.gateway.screen import Screen
from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.observability.record import Record

KEY = "AKIA0123WXYZ"
FRAME = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
DONE = b"data: [DONE]\n\n"
MODEL = Model("m", ModelSettings(name="m"), (), takes_cache_salt=False)


class Keys:
    longest = 12
    pattern = re.compile("AKIA[0-9A-Z]{8}")

    def find(self, text: str) -> Sequence[Span]:
        return [Span(*match.span(), "key") for match in self.pattern.finditer(text)]


class Judge:
    def __init__(self, bad: str = "bad", *, fails: bool = False) -> None:
        self.bad = bad
        self.fails = fails
        self.asked: list[str] = []

    async def judge(self, text: str) -> Sequence[str]:
        self.asked.append(text)
        await asyncio.sleep(0)
        if self.fails:
            raise GuardrailAway("nobody is there", retry_after=1)
        return ("violence",) if self.bad in text else ()


def rail(action: str = "block", judge: Judge | None = None, *, is_open: bool = False, window: int = 32) -> Rail:
    on = frozenset({GuardedText.OUTPUT, GuardedText.TOOL_ARGUMENTS})
    finder = Keys() if judge is None else None
    return Rail("r", on, GuardrailAction(action), window, open=is_open, finder=finder, judge=judge)


def chunk(delta: Any = None, finish: str | None = None, index: int = 0, **fields: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish, **fields.pop("choice", {})}
    return b"data: " + orjson.dumps({**FRAME, "choices": [choice], **fields}) + b"\n\n"


def said(*texts: str, field: str = "content") -> bytes:
    return b"".join(chunk({field: text}) for text in texts)


STOP = chunk(finish="stop") + DONE


async def read(pieces: Iterable[bytes], *rails: Rail, body: bytes = b"{}", at_once: bool = True) -> bytes:
    """What comes out; `at_once` is how a relay reads that hands on what arrives."""
    guard = Guard(dict.fromkeys(GuardedText, rails), Record("r"))
    engine, left, out = WholeStream(b""), list(pieces), []

    async def arrive(pass_on: Any = None) -> bytes:
        while left:
            piece = left.pop(0)
            if pass_on is None or not pass_on(piece):
                return piece
        return b""

    def passed(data: bytes) -> bool:
        out.append(data)
        return len(out) % 3 != 0 or not out.pop()  # now and then it has no room

    engine.read = arrive
    stream = GuardedStream(Screen(guard, Call(CHAT, MODEL, Record("r")), 10.0, tells=True), engine, body)
    while data := await stream.read(passed if at_once else None):
        out.append(data)
    return b"".join(out)


def events(data: bytes) -> list[dict[str, Any]]:
    assert data.endswith(DONE), data[-200:]
    return [orjson.loads(each[6:]) for each in data.split(b"\n\n") if each.startswith(b"data: {")]


def texts(data: bytes) -> dict[tuple[int, str], str]:
    found: dict[tuple[int, str], str] = {}
    for event in events(data):
        for choice in event["choices"]:
            for name, text in choice["delta"].items():
                if isinstance(text, str):
                    found[choice["index"], name] = found.get((choice["index"], name), "") + text
    return found


async def test_what_is_clean_passes_in_the_engines_own_bytes():
    usage = b"data: " + orjson.dumps({**FRAME, "choices": [], "usage": {"prompt_tokens": 3}}) + b"\n\n"
    stream = (
        chunk({"role": "assistant", "content": ""}) + said(*"one two three 😀 é") + chunk(finish="stop") + usage + DONE
    )
    for at_once in (True, False):
        assert await read([stream], rail(), at_once=at_once) == stream
        assert await read([stream[at : at + 1] for at in range(len(stream))], rail(), at_once=at_once) == stream


@pytest.mark.parametrize("action", ["mask", "block"])
async def test_split_at_every_byte(action):
    stream = said("a 😀 ", "AKIA", "0123WX", "YZ ", "tail") + STOP
    stream = stream.replace("😀".encode(), rb"\ud83d\ude00").replace(b"\n\n", b"\r\n\r\n")
    wanted = {"mask": "a 😀 [KEY] tail", "block": "a 😀 "}[action]
    for at in range(1, len(stream)):
        assert texts(await read([stream[:at], stream[at:]], rail(action)))[0, "content"] == wanted


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([KEY, "AKIA", "0123WXYZ", " ", "a", "😀", "\n", "some words", '"}', "\\"]), max_size=12),
    st.data(),
)
def test_any_text_in_any_chunks_and_any_packets(parts, data):
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    stream = said(*(text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))) + STOP
    packets = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[a:b] for a, b in zip([0, *packets], [*packets, len(stream)], strict=True) if b > a]
    out = asyncio.run(read(pieces, rail("mask"), at_once=data.draw(st.booleans())))
    assert texts(out).get((0, "content"), "") == Keys.pattern.sub("[KEY]", text)


HIDDEN = {
    "reasoning": said("AKIA01", "23WXYZ", field="reasoning"),
    "a field that nobody knows": said("AKIA01", "23WXYZ", field="thoughts"),
    "the role": chunk({"role": KEY, "content": "x"}),
    "a list of parts": chunk({"content": [{"type": "text", "text": KEY}]}),
    "a whole message": chunk(choice={"message": {"role": "assistant", "content": KEY}}),
    "a choice's own field": chunk(choice={"note": KEY}),
    "a choice's text": chunk(choice={"text": KEY}),
    "a choice's calls": chunk(choice={"tool_calls": [{"text": KEY}]}),
    "a delta in a delta": chunk({"delta": {"content": KEY}, "finish_reason": KEY}),
    "the reason to finish": chunk(finish=KEY),
    "a chunk's own field": chunk({"content": "x"}, note=KEY, usage={"prompt_tokens": 1, "note": KEY}),
    "the frame of a later chunk": said("x") + chunk({"content": "y"}, id=KEY, system_fingerprint=KEY),
    "a comment": b": " + KEY.encode() + b"\n\n",
    "a comment within an event": b": " + KEY.encode() + b"\n" + said("x"),
    "an event's id": b"id: " + KEY.encode() + b"\n" + said("x"),
    "lines of data": b'data: {"id":"x","choices":[{"index":0,\ndata: "delta":{"content":"'
    + KEY.encode()
    + b'"}}]}\n\n',
    "an object with a name twice": said("x").replace(b'"content":', b'"content":"' + KEY.encode() + b'","content":'),
    "escapes": said("x").replace(b'"content":"x"', b'"content":"\\u0041KIA0123WXYZ"'),
    "after the end of a choice": said("x") + chunk(finish="stop") + said("AKIA01", "23WXYZ"),
    "after the end": said("x") + STOP + said(KEY),
    "the name of a tool": chunk({"tool_calls": [{"index": 0, "function": {"name": KEY, "arguments": "{}"}}]}),
    "arguments in pieces": b"".join(
        chunk({"tool_calls": [{"index": 0, "function": {"name": name, "arguments": text}}]})
        for name, text in (("look", '{"a": "AKIA0'), ("", '123WXYZ"}'))
    ),
    "a function of old": chunk({"function_call": {"name": "look", "arguments": f'{{"a": "{KEY}"}}'}}),
    "log probabilities": b"".join(
        chunk(choice={"logprobs": {"content": [{"token": text, "logprob": 0, "top_logprobs": []}]}})
        for text in ("AKIA01", "23WXYZ")
    ),
    "other tokens": chunk(
        {"content": "x"},
        choice={"logprobs": {"content": [{"token": "x", "top_logprobs": [{"token": KEY, "logprob": 0}]}]}},
    ),
    "more about tokens": chunk({"content": "x"}, choice={"logprobs": {"content": [], "note": KEY}}),
    "an engine's failure": b"data: " + orjson.dumps({"error": {"message": f"cannot say {KEY}", "code": 400}}) + b"\n\n",
    "an event named error": b"event: error\ndata: " + orjson.dumps({"message": KEY}) + b"\n\n",
    "no JSON": said("x") + b"data: " + KEY.encode() + b"\n\n",
    "no object": b'data: ["' + KEY.encode() + b'"]\n\n',
    "a choice that is none": b'data: {"choices":["' + KEY.encode() + b'"]}\n\n',
    "an object of another kind": b'data: {"type":"response.output_text.delta","delta":"' + KEY.encode() + b'"}\n\n',
}


@pytest.mark.parametrize("where", HIDDEN)
@pytest.mark.parametrize("action", ["block", "mask"])
async def test_nothing_hides(where, action):
    """It is found, left out, or the stream fails; half of it may pass only where the other half does not."""
    try:
        out = await read([HIDDEN[where] + STOP], rail(action))
    except EngineError as error:
        out = error.message.encode()
    assert KEY.encode() not in out
    assert b"23WXYZ" not in out
    assert rb"\u0041" not in out


async def test_fields_in_turns_do_not_part_a_hit():
    """Both names for reasoning at once, and two choices in turns."""
    both = b"".join(
        chunk({"reasoning": letter, "reasoning_content": letter}, index=index) for letter in KEY for index in (0, 1)
    )
    out = texts(await read([both + chunk(finish="stop") + chunk(finish="stop", index=1) + DONE], rail("mask")))
    assert out == {(index, name): "[KEY]" for index in (0, 1) for name in ("reasoning", "reasoning_content")}


async def test_a_choice_that_is_blocked_ends_alone():
    stream = [
        chunk({"content": text}, index=index) for text in ("see AKIA", "0123WXYZ, ", "and on") for index in (0, 1)
    ]
    stream[3] = chunk({"content": "and nothing "}, index=1)
    ends = chunk(finish="stop") + chunk(finish="stop", index=1)
    out = await read([*stream, ends, DONE], rail(), body=b'{"n": 2}')
    assert texts(out) == {(0, "content"): "see ", (1, "content"): "see AKIAand nothing and on"}
    reasons = [c["finish_reason"] for e in events(out) for c in e["choices"] if c["finish_reason"]]
    assert reasons == ["content_filter", "stop"]


async def test_what_is_left_of_a_blocked_answer_is_not_read():
    ahead = [said("see ", KEY), *(said("more ") for _ in range(40)), b"unread"]
    out = await read(pieces := [*ahead], rail())
    assert events(out)[-1]["usage"]["completion_tokens"] >= 2
    assert events(out)[-2]["tandem"] == {
        "guardrails": [{"name": "r", "at": "output", "action": "block", "kinds": ["key"]}]
    }
    assert pieces == ahead


async def test_text_does_not_wait_for_a_field_that_says_no_more():
    thought = said("thinking about it", field="reasoning")
    guard_reads = await read([thought, *(said("word ") for _ in range(12))], rail())
    assert b"thinking" in guard_reads
    assert guard_reads.count(b"word ") >= 4


async def test_log_probabilities_of_what_is_masked_are_left_out():
    def with_tokens(text: str) -> bytes:
        return chunk({"content": text}, choice={"logprobs": {"content": [{"token": text, "logprob": -1.0}]}})

    out = await read([with_tokens("clean "), with_tokens(KEY), STOP], rail("mask"))
    kept = [c["logprobs"] is not None for e in events(out) for c in e["choices"] if c["delta"].get("content")]
    assert kept == [True, False]


@pytest.mark.parametrize(
    ("judge", "is_open", "text"),
    [
        (Judge(), False, "all is well and " * 4 + "good."),
        (Judge("good"), False, "all is well and " * 4),
        (Judge(fails=True), False, ""),
        (Judge(fails=True), True, "all is well and " * 4 + "good."),
    ],
)
async def test_judges(judge, is_open, text):
    stream = [said(word) for word in ["all ", "is ", "well ", "and "] * 4] + [said("good."), STOP]
    out = await read(stream, rail("block", judge, is_open=is_open))
    assert texts(out).get((0, "content"), "") == text
    assert [len(asked) for asked in judge.asked] == ([32, 64, 37] if text else [32])


async def test_an_engine_that_says_no_more_is_told_as_always():
    with pytest.raises(EngineError):
        await read([said("x"), b"data: {broken\n\n"], rail())
    assert b"[DONE]" not in await read([said("x")], rail())
    out = await read([said("x"), chunk(finish="stop")], rail())
    assert texts(out) == {(0, "content"): "x"}
