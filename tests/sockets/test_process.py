"""The real process: command line, start, drain."""

import asyncio
from time import monotonic

from tests.engine_double import Call, Reply
from tests.sockets.process import serving
from tests.sockets.running import MATH_TOOL, question


async def test_an_open_stream_survives_sigterm(engine):
    words = " ".join(["word"] * 30)
    engine.replies.append(Reply(words, between_pieces=0.05))
    async with serving(VLLM_URL=f"{engine.url}/v1", TANDEM_DRAIN_SECONDS="15") as running:
        async with running.client.post("/v1/chat/completions", json=question(stream=True)) as response:
            await response.content.readline()
            running.terminate()
            await running.until_status("/ready", 503)
            red = monotonic()
            await running.until_status("/ready", 0)
            assert monotonic() - red > 0.5, "so long others may take to hear of it"
            text = (await response.read()).decode()
        assert text.count(" word") == 29
        assert text.endswith("data: [DONE]\n\n")
        code, lines = await running.ended()
    assert code == 0
    assert [line["status"] for line in lines if line.get("path") == "/v1/chat/completions"] == [200]


async def test_a_stream_beyond_the_drain_time_ends_in_an_error_event(engine):
    engine.replies.append(Reply(fault="hang"))
    async with serving(VLLM_URL=engine.url, TANDEM_DRAIN_SECONDS="1") as running:
        async with running.client.post("/v1/chat/completions", json=question(stream=True)) as response:
            await response.content.readline()
            running.terminate()
            text = (await response.read()).decode()
        assert '"code":"shutting_down"' in text
        assert "[DONE]" not in text
        assert (await running.ended())[0] == 0
    await engine.until(lambda: engine.seen[0].outcome == "left")


async def test_a_second_signal_ends_it_at_once(engine):
    engine.replies.append(Reply(fault="hang"))
    async with (
        serving(VLLM_URL=engine.url, TANDEM_DRAIN_SECONDS="600") as running,
        running.client.post("/v1/chat/completions", json=question(stream=True)) as response,
    ):
        await response.content.readline()
        running.terminate()
        await running.until_status("/ready", 0)
        running.terminate()
        await running.ended()


async def test_a_request_that_waits_for_an_engine_is_told_in_the_drain_time(engine):
    engine.stop()
    async with serving(VLLM_URL=engine.url, MODEL_ID="double", TANDEM_DRAIN_SECONDS="1") as running:
        asking = asyncio.create_task(running.client.post("/v1/chat/completions", json=question()))
        await held(running, 1)
        running.terminate()
        async with asyncio.timeout(20), await asking as response:
            error = (await response.json())["error"]
        assert (response.status, error["code"]) == (503, "shutting_down")
        assert "no engine came back" in error["message"], "it was told by the queue, before everything was cut"
        assert (await running.ended())[0] == 0


async def test_a_request_that_waits_is_answered_when_its_engine_comes_back_in_the_drain_time(engine):
    engine.stop()
    async with serving(VLLM_URL=engine.url, MODEL_ID="double", TANDEM_DRAIN_SECONDS="15") as running:
        asking = asyncio.create_task(running.client.post("/v1/chat/completions", json=question()))
        await held(running, 1)
        running.terminate()
        await running.until_status("/ready", 503)
        await engine.start()
        async with await asking as response:
            assert response.status == 200
        assert (await running.ended())[0] == 0


async def held(running, requests):
    """Waits until so many requests wait for an engine."""
    async with asyncio.timeout(10):
        while (await running.metrics()).get('tandem_held_requests{class="interactive",model="double"}') != requests:  # noqa: ASYNC110 # another process
            await asyncio.sleep(0.02)


async def test_one_log_line_a_request_and_no_prompt_in_it(engine):
    secret = [{"role": "user", "content": "Calculate 12345 * 6789 for my secret"}]
    requests = [
        question(messages=secret, tools=[MATH_TOOL]),
        question(messages=secret, stream=True, stream_options={"include_usage": True}),
        question(messages=secret, model="unknown"),
        question(messages=secret),
    ]
    engine.replies += [
        Reply("", (Call("calculate_math", '{"expression": "12345 * 6789"}'),)),
        Reply(),
        Reply(),
        Reply(fault="cut"),
    ]
    async with serving(VLLM_URL=engine.url, TANDEM_TYPO="1", TANDEM_ROUTING__RETRIES="0") as running:
        for body in requests:
            async with running.client.post(
                "/v1/chat/completions", json=body, headers={"X-Request-Id": "r"}
            ) as response:
                await response.read()
        running.terminate()
        _, lines = await running.ended()
    assert [line["variable"] for line in lines if "variable" in line] == ["TANDEM_TYPO"]
    tools, stream, unknown, cut = [line for line in lines if line["event"] == "request"]
    assert {line["request_id"] for line in (tools, stream, unknown, cut)} == {"r"}
    assert (tools["method"], tools["path"], tools["status"]) == ("POST", "/v1/chat/completions", 200)
    assert (tools["model"], tools["tool_calls"]) == ("double", ["calculate_math:success"])
    assert tools["prompt_tokens"] == 28
    assert (stream["stream"], stream["completion_tokens"]) == (True, 14)
    assert (unknown["status"], unknown["error"]) == (404, "model_not_found")
    assert (cut["status"], cut["error"]) == (502, "engine_cut")
    assert "secret" not in str(lines)
    assert "12345" not in str(lines)
