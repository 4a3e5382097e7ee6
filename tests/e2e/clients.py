"""What the pod of test_engine_restart.py runs: clients that ask again and again until the file /tmp/stop is there.

Two of them want their answers in one piece, two streamed. Each request is a line on standard output: "ok" with its
seconds, or "failed" with the reason. Arguments: host, API key.
"""

import http.client
import json
import sys
import threading
import time
from pathlib import Path

HOST, KEY = sys.argv[1:]
STOP = Path("/tmp/stop")
SECONDS = 900
PAUSE_SECONDS = 0.5
"""Leaves the cores a moment: where they never are idle, Linux 6.18 may give a process that ends no turn for minutes."""
BODY = {
    "model": "tandem-demo",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "temperature": 0,
}
ANSWER = "The capital of France is Paris."


def keep_asking(*, stream):
    while not STOP.exists():
        began = time.monotonic()
        problem = problem_with(stream=stream)
        sys.stdout.write(f"{problem or f'ok {time.monotonic() - began:.1f}'}\n")
        time.sleep(PAUSE_SECONDS)


def problem_with(*, stream):
    """One request; "" when it is answered as it should be."""
    try:
        answer = ask(stream=stream)
    except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
        return f"failed stream={stream} {type(error).__name__}: {error}"
    return "" if answer == ANSWER else f"failed stream={stream} another answer: {answer!r}"


def ask(*, stream):
    """The answer's text, asked for on a connection of its own."""
    connection = http.client.HTTPConnection(HOST, timeout=SECONDS)
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    connection.request("POST", "/v1/chat/completions", json.dumps({**BODY, "stream": stream}), headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    if response.status != 200:
        raise ValueError(f"{response.status} {text[:300]}")
    return streamed(text) if stream else json.loads(text)["choices"][0]["message"]["content"]


def streamed(text):
    """The text of a stream that ended as it should."""
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        raise ValueError(f"the stream ended without [DONE]: {text[-300:]}")
    chunks = [json.loads(event) for event in events[:-1]]
    if wrong := [chunk for chunk in chunks if "error" in chunk]:
        raise ValueError(f"an error within the stream: {wrong[0]}")
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


threads = [threading.Thread(target=keep_asking, kwargs={"stream": stream}) for stream in (False, True) * 2]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
