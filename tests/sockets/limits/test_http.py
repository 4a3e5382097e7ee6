"""What a client sees of limits."""

from typing import Any

import openai
import pytest

from tests.sockets.running import QUESTION, config_for, until_awaited


async def test_the_openai_client_sees_limits_while_redis_says_nothing(serve, engine, redis, redis_server):
    redis_server.hold()
    orchestrator = await serve(config_for(engine, redis=redis, rateLimits={"defaults": {"requestsPerMinute": 3}}))
    client: Any
    async with openai.AsyncOpenAI(base_url=f"{orchestrator.url}/v1", api_key="any", max_retries=0) as client:
        for left in (b"2", b"1", b"0"):
            answer = await client.chat.completions.with_raw_response.create(model="double", messages=QUESTION)
            assert answer.headers["x-ratelimit-limit-requests"] == "3"
            assert answer.headers["x-ratelimit-remaining-requests"] == left.decode()
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="double", messages=QUESTION)
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 61
    assert caught.value.code == "rate_limit_exceeded"
    assert "limit of 3 requests per minute" in caught.value.message

    async def metrics() -> list[str]:
        async with orchestrator.client.get("/metrics") as response:
            return (await response.text()).splitlines()

    await until_awaited(metrics, lambda lines: "tandem_limits_shared 0.0" in lines)
    lines = await metrics()
    refused = 'tandem_limited_requests_total{level="key",limit="requests per minute"} '
    assert any(line.startswith(refused) for line in lines)
    redis_server.resume()
