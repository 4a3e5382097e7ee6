"""What is kept of a request whose response is made later, perhaps by another process."""

from typing import Any, Self

import orjson

from tandem_orchestrator.gateway.request import Headers
from tandem_orchestrator.gateway.tool_use import HEADER, OFF


class Queued:
    """A request as it was sent, and whose key it came with; what that key may do is asked when it is made."""

    def __init__(self, payload: dict[str, Any], key_id: str, *, tools: bool) -> None:
        self.payload = payload
        self.key_id = key_id
        self.tools = tools
        """False where its headers switched the server's tools off."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what `written` wrote."""
        document = orjson.loads(text)
        return cls(document["payload"], document["key"], tools=document["tools"])

    def written(self) -> str:
        """Return it as a text."""
        return orjson.dumps({"payload": self.payload, "key": self.key_id, "tools": self.tools}).decode()

    @property
    def headers(self) -> Headers:
        """The headers that matter."""
        return [] if self.tools else [(HEADER, OFF)]


def switched_on(headers: Headers) -> bool:
    """Return whether a request's headers, which were checked, leave the server's tools on."""
    return all(name != HEADER for name, _ in headers)
