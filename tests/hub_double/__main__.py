"""A hub in a pod, which has a folder's files as one repository.

Arguments: the name that clients know it by, its two ports, the folder, the repository, a file and after how many of its
bytes answers stand still until the file /tmp/resume is there. Whenever it was asked or has sent something, it says on
standard output how many requests there were, and the bytes that it has sent of each file.
"""

import json
import sys
import time
from pathlib import Path

from tests.hub_double import Commit, HubDouble

RESUME = Path("/tmp/resume")
LOOK_SECONDS = 0.1

host, port, storage_port, folder, repository, held, after = sys.argv[1:]
with HubDouble(host, (int(port), int(storage_port))) as hub:
    hub.push(repository, Commit({path.name: path.read_bytes() for path in Path(folder).iterdir() if path.is_file()}))
    hub.holds[held] = int(after)
    said = ""
    while True:
        if RESUME.exists():
            hub.resume()
        counted = json.dumps({"requests": len(hub.requests), "sent": dict(hub.sent)})
        if counted != said:
            sys.stdout.write(f"{counted}\n")
            said = counted
        time.sleep(LOOK_SECONDS)
