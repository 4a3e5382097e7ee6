"""What connections remember of responses that are stored nowhere, so that their next one may continue them."""

from collections import OrderedDict
from itertools import count
from typing import Final

import orjson

from tandem_orchestrator.responses.items import Item

MOST_RESPONSES: Final = 4  # of one connection: the newest
MOST_BYTES: Final = 8 * 1024 * 1024  # of one connection, as JSON
MOST_BYTES_TOGETHER: Final = 64 * 1024 * 1024  # of all connections of this process
BOUND: Final = (
    f"a response with `store: false` is remembered by its own connection alone, and of those the newest "
    f"{MOST_RESPONSES}, of {MOST_BYTES // 1024 // 1024} MiB together; send the whole input"
)


class Memories:
    """The memories of all connections; where they are too large together, the oldest response is forgotten first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str], bytes] = OrderedDict()
        self._numbers = count()
        self.size = 0
        """Bytes."""

    def begin(self) -> "ConnectionMemory":
        """Return an empty memory for one more connection; `clear` must follow."""
        return ConnectionMemory(self, next(self._numbers))

    def get(self, key: tuple[int, str]) -> bytes | None:
        """Return what is kept."""
        return self._kept.get(key)

    def put(self, key: tuple[int, str], data: bytes) -> None:
        """Keep something."""
        self.drop(key)
        self._kept[key] = data
        self.size += len(data)
        while self.size > MOST_BYTES_TOGETHER:
            self.drop(next(iter(self._kept)))

    def drop(self, key: tuple[int, str]) -> None:
        """Forget something, if it is there."""
        self.size -= len(self._kept.pop(key, b""))


class ConnectionMemory:
    """What one connection remembers; see `Memory`."""

    def __init__(self, memories: Memories, number: int) -> None:
        self._memories = memories
        self._number = number
        self._ids: list[str] = []

    def items(self, response_id: str) -> list[Item] | None:
        """Return all items of a response and of what came before it; None for one that is not remembered."""
        data = self._memories.get((self._number, response_id))
        items: list[Item] | None = None if data is None else orjson.loads(data)
        return items

    def keep(self, response_id: str, items: list[Item]) -> None:
        """Remember a response that has ended, unless it alone is too large."""
        data = orjson.dumps(items)
        if len(data) > MOST_BYTES:
            return
        self._ids.append(response_id)
        self._memories.put((self._number, response_id), data)
        while len(self._ids) > MOST_RESPONSES or self._size > MOST_BYTES:
            self.forget(self._ids[0])

    def forget(self, response_id: str) -> None:
        """Forget one, if it is remembered."""
        if response_id in self._ids:
            self._ids.remove(response_id)
            self._memories.drop((self._number, response_id))

    def clear(self) -> None:
        """Forget all."""
        for response_id in tuple(self._ids):
            self.forget(response_id)

    @property
    def _size(self) -> int:
        return sum(len(self._memories.get((self._number, each)) or b"") for each in self._ids)
