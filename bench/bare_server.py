"""uvicorn around an application that reads and answers, and nothing else: with our protocol, or with its own.

.venv/bin/python -m bench.bare_server --port N --protocol ours|httptools
"""

import argparse
from typing import Final

import uvicorn
from starlette.types import Receive, Scope, Send
from tandem_contract.config import OrchestratorConfig, Upstream
from tandem_orchestrator.transport.client_connection import protocol_for

from bench.engine import PLAIN

BODY: Final = PLAIN.partition(b"\r\n\r\n")[2]
HEADERS: Final = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def application(_: Scope, receive: Receive, send: Send) -> None:
    """ASGI."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--protocol", choices=["ours", "httptools"], required=True)
    options = parser.parse_args()
    config = OrchestratorConfig(upstreams=[Upstream(name="engine", url="http://127.0.0.1")])
    uvicorn.run(
        application,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http=protocol_for(config) if options.protocol == "ours" else "httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
