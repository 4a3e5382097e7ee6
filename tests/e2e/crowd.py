"""What a pod runs that keeps an engine saturated: clients that want long answers, one after the other.

Each answer is a line on standard output: its status, 0 where there was none. Arguments: host, API key, how many.
"""

import http.client
import json
import sys
import threading

HOST, KEY, CLIENTS = sys.argv[1:]
SECONDS = 900
BODY = {
    "model": "tandem-demo",
    "messages": [{"role": "user", "content": "Tell me a long story."}],
    "max_tokens": 200,
    "ignore_eos": True,
}


def keep_asking():
    while True:  # until the pod is deleted
        sys.stdout.write(f"{status()}\n")


def status():
    """The status of one answer."""
    connection = http.client.HTTPConnection(HOST, timeout=SECONDS)
    headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(BODY), headers)
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    return response.status


for _ in range(int(CLIENTS)):
    threading.Thread(target=keep_asking).start()
