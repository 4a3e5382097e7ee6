"""What a chat's messages tell a model to do, beside what they ask of it."""

from typing import Any, Final

INSTRUCTIONS: Final = ("system", "developer")  # no set: a role may be anything, also what cannot be hashed


def instructed(messages: list[Any], text: str, *, first: bool = False) -> list[Any]:
    """Return the messages with `text` at the end of the first one's instructions, or in front of them.

    Many models read no instructions but those, and no two messages of them.
    """
    message = messages[0]
    content = message.get("content") if message.get("role") in INSTRUCTIONS else None
    if isinstance(content, str):
        both = (text, content) if first else (content, text)
        return [{**message, "content": "\n\n".join(both)}, *messages[1:]]
    if isinstance(content, list):
        part = {"type": "text", "text": text}
        return [{**message, "content": [part, *content] if first else [*content, part]}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]
