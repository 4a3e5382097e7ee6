"""What the pod of `traffic.load` runs: clients that ask again and again until the file /tmp/stop is there.

Of four, two want their answers in one piece and two streamed, and the orchestrator calls a tool for one of each; with a
vector store, two search it. Each request is a line on standard output, which begins with the client's name: "ok" with
its seconds, "ended" for a stream that an error event ended, or "failed" with the reason. Arguments: host, API key, a
vector store, a question for it and what must stand in the first text that is found.
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
CAPITAL: tuple = ("What is the capital of France?", "The capital of France is Paris.", {})
MATH = {
    "name": "calculate_math",
    "description": "Evaluate a mathematical expression",
    "parameters": {
        "type": "object",
        "properties": {"expression": {"type": "string", "description": "For example 2 + 2"}},
        "required": ["expression"],
    },
}
PRODUCT: tuple = (
    "Calculate 123 * 456",
    "The result of 123 * 456 is 56088.",
    {"tools": [{"type": "function", "function": MATH}]},
)


class EndedError(Exception):
    """A stream ended with an error event, which says why."""


def keep_asking(ask):
    while not STOP.exists():
        began = time.monotonic()
        outcome = outcome_of(ask) or f"ok {time.monotonic() - began:.1f}"
        sys.stdout.write(f"{ask.__name__} {outcome}\n")
        time.sleep(PAUSE_SECONDS)


def outcome_of(ask):
    """One request; "" when it is answered as it should be."""
    try:
        answer, right = ask()
    except EndedError as error:
        return f"ended {error}"
    except (OSError, http.client.HTTPException, ValueError, LookupError) as error:
        return f"failed {type(error).__name__}: {' '.join(str(error).split())}"
    return "" if right else f"failed another answer: {answer!r}"


def whole():
    """The text of an answer in one piece, and whether it is right."""
    return in_one_piece(*CAPITAL)


def streamed():
    """The same, streamed."""
    return in_a_stream(*CAPITAL)


def whole_tool():
    """An answer for which the orchestrator calls a tool."""
    return in_one_piece(*PRODUCT)


def streamed_tool():
    """The same, streamed."""
    return in_a_stream(*PRODUCT)


def in_one_piece(question, wanted, more):
    answer = json.loads(posted("chat/completions", chat(question, **more)))["choices"][0]["message"]["content"]
    return answer, answer == wanted


def in_a_stream(question, wanted, more):
    answer = text_of(posted("chat/completions", chat(question, stream=True, **more)))
    return answer, answer == wanted


def chat(question, **more):
    return {
        "model": "tandem-demo",
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        **more,
    }


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


def text_of(stream):
    """The text of a stream that ended as it should."""
    events = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    is_whole = bool(events) and events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    errors = [chunk["error"] for chunk in chunks if "error" in chunk]
    if errors and is_whole:
        raise ValueError(f"[DONE] after an error event: {errors[0]}")
    if errors:
        raise EndedError(json.dumps(errors[0]))
    if not is_whole:
        raise ValueError(f"the stream ended without [DONE]: {stream[-300:]!r}")
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


asking = (search, search) if SEARCH else (whole, streamed, whole_tool, streamed_tool)
threads = [threading.Thread(target=keep_asking, args=(ask,)) for ask in asking]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
