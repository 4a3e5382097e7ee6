"""Content blocks of Anthropic's API as parts of a chat's message."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tandem_orchestrator.messages.fields import Document, document, documents, invalid, optional_text, text

Part = dict[str, Any]
Read = Callable[[Document, str], list[Part]]

IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
PDF: Final = "application/pdf"
FETCHED: Final = ("http://", "https://")
BETWEEN: Final = "\n\n"
"""Stands between texts that become one."""


def parts_of(content: Any, path: str, kinds: Mapping[str, Read]) -> list[Part]:
    """Return the parts in a text or a list of blocks, of which only `kinds` may be there. Raises `BadRequest`."""
    if isinstance(content, str):
        return [text_part(content)] if content else []
    if not isinstance(content, list):
        raise invalid(path, "must be a text or a list of content blocks")
    parts: list[Part] = []
    for n, block in enumerate(documents(content, path)):
        where = f"{path}.{n}"
        parts += reader(block, where, kinds)(block, where)
    return parts


def reader(block: Document, path: str, kinds: Mapping[str, Read]) -> Read:
    """Return what reads a block. Raises `BadRequest` where that kind of block may not stand."""
    kind = block.get("type")
    read = kinds.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise invalid(f"{path}.type", f"{kind!r} is none of the blocks that are taken here: {', '.join(kinds)}")
    return read


def text_part(said: str) -> Part:
    """Return a text as a part of a chat's message."""
    return {"type": "text", "text": said}


def joined(parts: list[Part], between: str = BETWEEN) -> str | list[Part]:
    """Return parts as a chat's content; texts alone as one text, since many templates know nothing else."""
    texts = [part["text"] for part in parts if part["type"] == "text"]
    return between.join(texts) if len(texts) == len(parts) else parts


def read_text(block: Document, path: str) -> list[Part]:
    """Read a text, whose citations and marks for a cache say nothing to a model."""
    said = text(block, "text", f"{path}.")
    return [text_part(said)] if said else []


def _image(block: Document, path: str) -> list[Part]:
    source, where = document(block.get("source"), f"{path}.source"), f"{path}.source."
    kind = source.get("type")
    if kind == "base64":
        if (form := source.get("media_type")) not in IMAGES:
            raise invalid(f"{where}media_type", f"must be one of {', '.join(IMAGES)}")
        url = f"data:{form};base64,{text(source, 'data', where)}"
    elif kind == "url":
        url = text(source, "url", where)
        if not url.startswith(FETCHED):
            raise invalid(f"{where}url", "must begin with http:// or https://")
    else:
        raise invalid(f"{where}type", "must be base64 or url; files of an API for files are not read here")
    return [{"type": "image_url", "image_url": {"url": url}}]


def _document(block: Document, path: str) -> list[Part]:
    source, where = document(block.get("source"), f"{path}.source"), f"{path}.source."
    title, about = optional_text(block, "title", f"{path}."), optional_text(block, "context", f"{path}.")
    kind = source.get("type")
    head = [text_part(each) for each in (title, about) if each]
    if kind == "text":
        return [*head, text_part(text(source, "data", where))]
    if kind == "content":
        return [*head, *parts_of(source.get("content"), f"{where}content", WITHIN)]
    if kind != "base64":
        raise invalid(f"{where}type", "must be text, content or base64; a document elsewhere is not fetched")
    if source.get("media_type") != PDF:
        raise invalid(f"{where}media_type", f"must be {PDF}")
    data = f"data:{PDF};base64,{text(source, 'data', where)}"
    return [*head, {"type": "file", "file": {"filename": title or "document.pdf", "file_data": data}}]


def _search_result(block: Document, path: str) -> list[Part]:
    found = parts_of(block.get("content"), f"{path}.content", {"text": read_text})
    return [text_part(f"{text(block, 'title', f'{path}.')} ({text(block, 'source', f'{path}.')})"), *found]


def _tool_reference(block: Document, path: str) -> list[Part]:
    return [text_part(text(block, "tool_name", f"{path}."))]


WITHIN: Final[Mapping[str, Read]] = {"text": read_text, "image": _image}
SAID: Final[Mapping[str, Read]] = {**WITHIN, "document": _document, "search_result": _search_result}
"""What a person says."""
GIVEN: Final[Mapping[str, Read]] = {**SAID, "tool_reference": _tool_reference}
"""What a tool gives."""
