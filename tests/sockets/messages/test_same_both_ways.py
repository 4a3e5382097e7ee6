"""A message has the same content whether it was streamed or not, whatever the engine says."""

from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine_double.reply import Call, Reply
from tests.sockets.messages.test_streams import ASKED, content_of, events_in
from tests.sockets.running import config_for

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)
INPUTS = st.one_of(st.dictionaries(TEXTS, TEXTS, max_size=2).map(lambda found: orjson.dumps(found).decode()), TEXTS)
REPLIES = st.builds(
    Reply,
    text=TEXTS.map(str.rstrip),  # the double sends no spaces at the end of a stream
    calls=st.lists(st.builds(Call, st.sampled_from(["look", "see"]), INPUTS), max_size=3).map(tuple),
    finish_reason=st.sampled_from(["", "stop", "length", "content_filter"]),
    reasoning=TEXTS,
    stop_reason=st.sampled_from([None, "END", 7]),
    cached_tokens=st.sampled_from([None, 0, 3, 1000]),
)


async def test_whatever_the_engine_says(serve, engine):
    client = (await serve(config_for(engine))).client

    async def both(reply: Reply, fields: dict[str, Any]) -> None:
        engine.replies += [reply, reply]
        asked = {**ASKED, "stop_sequences": ["END"], **fields}
        async with client.post("/v1/messages", json=asked) as response:
            whole = await response.json()
            assert response.status == 200, whole
        async with client.post("/v1/messages", json={**asked, "stream": True}) as response:
            events = events_in(await response.text())
        blocks = content_of(events)
        assert [_without_id(block) for block in blocks] == [_without_id(block) for block in whole["content"]]
        assert events[-2]["delta"] == {name: whole[name] for name in ("stop_reason", "stop_sequence")}
        assert events[-2]["usage"] == whole["usage"]

    replies: list[Reply] = []

    @settings(max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(REPLIES)
    def collect(reply: Reply) -> None:
        replies.append(reply)

    collect()
    for n, reply in enumerate(replies):
        await both(reply, {"thinking": {"type": "disabled"}} if n % 2 else {})


def _without_id(block: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if name != "id"}
