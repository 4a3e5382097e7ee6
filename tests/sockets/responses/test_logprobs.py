"""How likely each token was, for who asks."""

import orjson
import pytest

from tests.engine_double.canned import CannedEngine, streamed, whole
from tests.sockets.responses.asking import ResponsesClient
from tests.sockets.running import config_for


def token(text):
    return {"token": text, "logprob": -0.5, "bytes": list(text.encode())}


LOGPROBS = [{**token(text), "top_logprobs": [token(text)]} for text in ("Hi", " you")]


@pytest.mark.parametrize("stream", [False, True])
async def test_they_stand_beside_the_text(serve, tmp_path, stream):
    if stream:
        chunks: list[dict] = [
            {"delta": {"content": each["token"]}, "logprobs": {"content": [each]}} for each in LOGPROBS
        ]
        chunks.append({"delta": {}, "finish_reason": "stop"})
        answer = streamed(*(b"data: %b\n\n" % orjson.dumps({"choices": [chunk]}) for chunk in chunks))
    else:
        choice = {"message": {"content": "Hi you"}, "logprobs": {"content": LOGPROBS}, "finish_reason": "stop"}
        answer = [whole(orjson.dumps({"choices": [choice]}))]
    async with CannedEngine(answer) as engine:
        upstreams = [{"name": "canned", "url": engine.url, "model": engine.model}]
        database = {"url": f"sqlite:///{tmp_path}/tandem.db"}
        ask = ResponsesClient((await serve(config_for(upstreams=upstreams, database=database))).client)
        response = await ask.either(stream=stream, include=["message.output_text.logprobs"], top_logprobs=1)
    (part,) = response["output"][0]["content"]
    assert (part["text"], part["logprobs"]) == ("Hi you", LOGPROBS)


async def test_the_engine_is_asked_for_them(ask, engine):
    await ask.create(include=["message.output_text.logprobs"], top_logprobs=3)
    assert (engine.seen[-1].body["logprobs"], engine.seen[-1].body["top_logprobs"]) == (True, 3)
    await ask.create()
    assert "logprobs" not in engine.seen[-1].body
