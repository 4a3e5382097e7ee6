"""What the pod of `load` runs: clients that ask again and again until the file /tmp/stop is there.

Two of them want their answers in one piece, two streamed; with a vector store, two search it. Each request is a line on
standard output: "ok" with its seconds, or "failed" with the reason. Arguments: host, API key, a vector store, a
question for it and what must stand in the first text that is found.
"""

import http.client
import json
import sys
import threading
import time
from pathlib import Path

HOST, KEY, *SEARCH = sys.argv[1:]
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


def keep_asking(ask):
    while not STOP.exists():
        began = time.monotonic()
        problem = problem_with(ask)
        sys.stdout.write(f"{problem or f'ok {time.monotonic() - began:.1f}'}\n")
        time.sleep(PAUSE_SECONDS)


def problem_with(ask):
    """One request; "" when it is answered as it should be."""
    try:
        answer, right = ask()
    except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
        return f"failed {ask.__name__} {type(error).__name__}: {error}"
    return "" if right else f"failed {ask.__name__} another answer: {answer!r}"


def whole():
    """The text of an answer in one piece, and whether it is right."""
    answer = json.loads(posted("chat/completions", BODY))["choices"][0]["message"]["content"]
    return answer, answer == ANSWER


def in_a_stream():
    """The same, streamed."""
    answer = streamed(posted("chat/completions", {**BODY, "stream": True}))
    return answer, answer == ANSWER


def search():
    """The text that a search finds first, and whether it is right."""
    store, question, wanted = SEARCH
    found = json.loads(posted(f"vector_stores/{store}/search", {"query": question, "max_num_results": 3}))["data"]
    answer = found[0]["content"][0]["text"]
    return answer, wanted in answer


def posted(path, body):
    """An answer's body; it comes over a connection of its own."""
    connection = http.client.HTTPConnection(HOST, timeout=SECONDS)
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    connection.request("POST", f"/v1/{path}", json.dumps(body), headers)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    if response.status != 200:
        raise ValueError(f"{response.status} {text[:300]}")
    return text


def streamed(text):
    """The text of a stream that ended as it should."""
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    if not events or events[-1] != "[DONE]":
        raise ValueError(f"the stream ended without [DONE]: {text[-300:]}")
    chunks = [json.loads(event) for event in events[:-1]]
    if wrong := [chunk for chunk in chunks if "error" in chunk]:
        raise ValueError(f"an error within the stream: {wrong[0]}")
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


asking = (search, search) if SEARCH else (whole, in_a_stream) * 2
threads = [threading.Thread(target=keep_asking, args=(ask,)) for ask in asking]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
