"""What a caller with an issuer's token costs, beside one with a key.

    .venv/bin/python -m bench.callers        under a minute; prints only

Both send the same requests to the same orchestrator, in turns, which has both under the same limits. The token is as
long as Keycloak's are, and new to the orchestrator in each round: it is verified once, and known from then on.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Final

import uvloop
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey

from bench.load import KEY, Failed, Load, post
from bench.measures import CLIENTS, Effort, cpu_of_a_request
from bench.processes import Cores, free_port
from bench.report import HEADER, Row, Series, at_most
from bench.targets import issuing_running
from hack import path

EFFORT: Final = Effort(rounds=7, seconds=1.5, fill=0, requests=0, leaving=0)
BOUND: Final = 1.1
CLAIMS: Final = 900  # bytes beside the usual claims


async def measure(cores: Cores, effort: Effort) -> list[Row]:
    """Start what is compared, measure it in turns, end it."""
    key = RSAKey.generate_key(2048, {"kid": "bench", "use": "sig"})
    by_key, by_token = post(), [_with(_token(key, number)) for number in range(effort.rounds)]
    found: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
        async with _issuer(key) as url, issuing_running(Path(folder), cores, _settings(url)) as server:
            for request in (by_key, _with(_token(key, -1))):
                await Load(server.address, request).run(CLIENTS, seconds=effort.seconds)
            for number, request in enumerate(by_token):
                for which in (0, 1) if number % 2 else (1, 0):
                    spent, _ = await cpu_of_a_request(server, effort, request=(request, by_key)[which])
                    found[which].append(spent)
    tokens, keys = Series(found[0]), Series(found[1])
    figures = f"{tokens.median:.1f} µs, by key {keys.median:.1f} µs"
    return [at_most("a caller by OIDC: CPU a request, over one by key", figures, tokens.over(keys), BOUND)]


def _settings(url: str) -> dict[str, object]:
    return {"issuer": ISSUER, "audiences": ["tandem"], "tenant": "bench", "jwksUrl": url}


ISSUER: Final = "https://login.example.com/realms/bench"


def _token(key: RSAKey, number: int) -> str:
    now = int(time())
    claims = {"iss": ISSUER, "aud": "tandem", "sub": "bench", "iat": now, "exp": now + 3600, "jti": str(number)}
    return jwt.encode({"alg": "RS256", "kid": "bench"}, {**claims, "roles": "r" * CLAIMS}, key)


def _with(token: str) -> bytes:
    return post().replace(KEY.encode(), token.encode())


@asynccontextmanager
async def _issuer(key: RSAKey) -> AsyncIterator[str]:
    async def keys(_: web.Request) -> web.Response:
        return web.json_response({"keys": [key.as_dict(private=False)]})

    app, port = web.Application(), free_port()
    app.add_routes([web.get("/jwks", keys)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/jwks"
    finally:
        await runner.cleanup()


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows = runner.run(measure(cores, EFFORT))
    except Failed as failure:
        print(f"error: {failure}", file=sys.stderr)
        return 2
    print("\n".join([HEADER, *map(str, rows)]))
    return 1 if any(row.passed is False for row in rows) else 0


if __name__ == "__main__":
    path.confine()
    sys.exit(main())
