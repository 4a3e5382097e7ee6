"""A conversation of Anthropic's API as the messages of a chat, which is what engines are asked."""

from typing import Any, Final

import orjson

from tandem_orchestrator.messages.blocks import (
    BETWEEN,
    GIVEN,
    SAID,
    Part,
    Read,
    joined,
    parts_of,
    read_text,
    reader,
    text_part,
)
from tandem_orchestrator.messages.fields import Document, document, documents, flag, invalid, text

Message = dict[str, Any]

ATTRIBUTION: Final = "x-anthropic-billing-header"
"""Begins a block with which Claude Code tells whose request it is: other in each, so that no cache would hold."""
ELSEWHERE: Final = frozenset(
    {
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "redacted_thinking",
        "container_upload",
        "fallback",
        "compaction",
    }
)
"""Blocks that another service wrote, most of them encrypted: only that one can read them."""


def chat_of(system: Any, messages: Any, reasoning_field: str) -> list[Message]:
    """Return the chat that a request's `system` and `messages` are. Raises `BadRequest`."""
    chat = Chat(reasoning_field)
    chat.instruct(system, "system")
    for n, message in enumerate(documents(messages, "messages")):
        chat.add(message, f"messages.{n}")
    return chat.end()


class Chat:
    """Messages that grow by those of a conversation; those of one role in a row are one turn.

    Chat templates take one instruction, at the start. What instructs later stands with what the user said, or with
    what a tool gave: a turn of its own would change all that comes before for an engine's cache.
    """

    def __init__(self, reasoning_field: str) -> None:
        self._messages: list[Message] = []
        self._reasoning_field = reasoning_field
        self._instructions: list[str] = []
        self._said: list[Part] = []  # in the user's turn that goes on, after what tools gave
        self._noted: list[Part] = []  # instructions in the midst of a conversation
        self._open: dict[str, None] = {}
        """Ids of calls whose results are yet to come, in order."""

    def instruct(self, content: Any, path: str) -> None:
        """Add instructions."""
        if content is None:
            return
        parts = [
            part
            for part in parts_of(content, path, {"text": read_text})
            if isinstance(content, str) or not part["text"].startswith(ATTRIBUTION)
        ]
        if self._messages or self._said:
            self._noted += parts
        else:
            self._instructions += [part["text"] for part in parts]

    def add(self, message: Document, path: str) -> None:
        """Add a message."""
        role, content = message.get("role"), message.get("content")
        if role == "user":
            self._user(content, f"{path}.content")
        elif role == "assistant":
            self._assistant(content, path)
        elif role == "system":
            self.instruct(content, f"{path}.content")
        else:
            raise invalid(f"{path}.role", "must be user, assistant or system")

    def end(self) -> list[Message]:
        """Return the whole chat."""
        self._end_turn("messages")
        last = self._messages[-1] if self._messages else None
        if last is None:
            raise invalid("messages", "must have at least one message, and one that is not empty")
        if last["role"] == "assistant":
            raise invalid(
                "messages", "the last one must be the user's: no model here goes on with an answer's beginning"
            )
        if self._instructions:
            return [{"role": "system", "content": BETWEEN.join(self._instructions)}, *self._messages]
        return self._messages

    def _user(self, content: Any, path: str) -> None:
        if isinstance(content, list):
            for n, block in enumerate(documents(content, path)):
                if block.get("type") == "tool_result":
                    self._result(block, f"{path}.{n}")
                else:
                    self._said += reader(block, f"{path}.{n}", SAID)(block, f"{path}.{n}")
        else:
            self._said += parts_of(content, path, SAID)

    def _result(self, block: Document, path: str) -> None:
        """Add what a tool gave. A chat's tools give text; images among it are shown by the user."""
        call = text(block, "tool_use_id", f"{path}.")
        if call not in self._open:
            raise invalid(
                f"{path}.tool_use_id",
                f"{call!r} is the id of no `tool_use` block in the message before, or has a result",
            )
        del self._open[call]
        content = block.get("content")
        given = [] if content is None else parts_of(content, f"{path}.content", GIVEN)
        texts = [part["text"] for part in given if part["type"] == "text"]
        self._said += (part for part in given if part["type"] != "text")
        failed = "Error: " if flag(block, "is_error", f"{path}.") else ""
        self._messages.append({"role": "tool", "tool_call_id": call, "content": failed + BETWEEN.join(texts)})

    def _assistant(self, content: Any, path: str) -> None:
        last = self._messages[-1] if self._messages else None
        if self._said or self._noted or last is None or last["role"] != "assistant":
            self._end_turn(path)
            last = None
        if isinstance(content, str):
            content = [text_part(content)]
        message: Message = last or {"role": "assistant", "content": None}
        for n, block in enumerate(documents(content, f"{path}.content")):
            self._spoken(message, block, f"{path}.content.{n}")
        if last is None and (message["content"] or len(message) > len(("role", "content"))):
            self._messages.append(message)

    def _spoken(self, message: Message, block: Document, path: str) -> None:
        kind = block.get("type")
        if kind == "text":
            message["content"] = (message["content"] or "") + text(block, "text", f"{path}.") or None
        elif kind == "tool_use":
            message.setdefault("tool_calls", []).append(self._call(block, f"{path}."))
        elif kind == "thinking":
            thought = text(block, "thinking", f"{path}.")
            if thought:
                message[self._reasoning_field] = message.get(self._reasoning_field, "") + thought
        elif kind not in ELSEWHERE:
            reader(block, path, SPOKEN)

    def _call(self, block: Document, path: str) -> Message:
        call, name = text(block, "id", path), text(block, "name", path)
        if call in self._open:
            raise invalid(f"{path}id", f"{call!r} is the id of another `tool_use` block, too")
        self._open[call] = None
        arguments = orjson.dumps(document(block.get("input"), f"{path}input")).decode()
        return {"id": call, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _end_turn(self, path: str) -> None:
        """End the user's turn, where one goes on."""
        if self._open:
            missing = ", ".join(self._open)
            raise invalid(path, f"the calls {missing} have no `tool_result` blocks in the message that follows them")
        last = self._messages[-1] if self._messages else None
        if self._noted and not self._said and last is not None and last["role"] == "tool":
            last["content"] = BETWEEN.join((last["content"], *(part["text"] for part in self._noted)))
        elif self._said or self._noted:
            self._messages.append({"role": "user", "content": joined([*self._said, *self._noted])})
        self._said, self._noted = [], []


SPOKEN: Final[dict[str, Read]] = dict.fromkeys(("text", "tool_use", "thinking"), read_text)
"""What an assistant says, for what tells of it."""
