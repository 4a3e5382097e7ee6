"""Items: what goes into a response and comes out of it. Checks those of a client, and says what is in them."""

from collections.abc import Callable
from typing import Any, Final

from tandem_orchestrator.errors import BadRequest

Item = dict[str, Any]

ROLES: Final = ("user", "system", "developer", "assistant")
TEXTS: Final = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
SEARCH_RESULTS: Final = "file_search_call.results"
WITHOUT_STATUS: Final = frozenset({"compaction", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"})
NO_INPUT: Final = "`input` must be a text or a list of items, and not empty"


def checked(value: Any, path: str = "input") -> list[Item]:
    """Return the items in `value`: a text, or a list. Raises `BadRequest`, which names the item."""
    if isinstance(value, str) and value:
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": value}]}]
    if value is None or value == []:
        return []  # what came before may be enough
    if not isinstance(value, list):
        raise BadRequest(NO_INPUT, param=path)
    found = [_checked(item, f"{path}.{n}") for n, item in enumerate(value)]
    for n, item in enumerate(found[:-1]):
        if item["type"] == "compaction_trigger":
            raise BadRequest("a `compaction_trigger` must be the last item", param=f"{path}.{n}")
    return found


def text_of(content: Any) -> str:
    """Return the text in a message's content, or in a tool's output."""
    if isinstance(content, str):
        return content
    texts = [part["text"] for part in content or () if part.get("type") in TEXTS]
    return texts[0] if len(texts) == 1 else "\n".join(texts)


def kept(item: Item, item_id: str) -> Item:
    """Return a checked item as it is kept and shown: with an id of its own, and what every item of its type has."""
    found = {**item, "id": item_id}
    if item["type"] not in WITHOUT_STATUS:
        found["status"] = item.get("status") or "completed"
    for name in ("content", "output"):
        if isinstance(parts := item.get(name), list):
            found[name] = [{"detail": "auto", **part} if part.get("type") == "input_image" else part for part in parts]
    return found


def shown(item: Item, include: frozenset[str]) -> Item:
    """Return an item as clients see it: what was found in files only where they `include` it."""
    if item["type"] != "file_search_call" or item.get("results") is None or SEARCH_RESULTS in include:
        return item
    return {**item, "results": None}


def _checked(item: Any, path: str) -> Item:
    if not isinstance(item, dict):
        raise BadRequest(f"`{path}` must be an item, an object", param=path)
    kind = item.get("type")
    if kind is None:
        kind = "message" if "role" in item else "item_reference" if item.keys() == {"id"} else None
        item = {**item, "type": kind}
    check = CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise BadRequest(
            f"`{path}.type` {kind!r} cannot be served here; what can: {', '.join(sorted(CHECKS))}", param=f"{path}.type"
        )
    return check(item, path) or item


def _message(item: Item, path: str) -> Item | None:
    if item.get("role") not in ROLES:
        raise BadRequest(f"`{path}.role` must be one of {', '.join(ROLES)}", param=f"{path}.role")
    content = item.get("content")
    if isinstance(content, str):
        kind = "output_text" if item["role"] == "assistant" else "input_text"
        part: Item = {"type": kind, "text": content}
        if kind == "output_text":
            part["annotations"] = []
        return {**item, "content": [part]}
    _parts(content, f"{path}.content")
    return None


def _parts(content: Any, path: str) -> None:
    if not isinstance(content, list):
        raise BadRequest(f"`{path}` must be a text or a list of parts", param=path)
    for n, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        check = PARTS.get(kind) if isinstance(kind, str) else None
        if check is None:
            raise BadRequest(f"`{path}.{n}.type` must be one of {', '.join(sorted(PARTS))}", param=f"{path}.{n}.type")
        check(part, f"{path}.{n}")


def _has(*names: str) -> Callable[[Item, str], None]:
    """Return a check that those fields are texts."""

    def check(item: Item, path: str) -> None:
        for name in names:
            if not isinstance(item.get(name), str):
                raise BadRequest(f"`{path}.{name}` must be a text", param=f"{path}.{name}")

    return check


def _image(part: Item, path: str) -> None:
    if not isinstance(part.get("image_url"), str):
        if isinstance(part.get("file_id"), str):
            raise BadRequest("files are not kept here; send `image_url`, a URL or data", param=f"{path}.file_id")
        raise BadRequest(f"`{path}.image_url` must be a text", param=f"{path}.image_url")


def _file(part: Item, path: str) -> None:
    if not isinstance(part.get("file_data"), str):
        for name in ("file_id", "file_url"):
            if isinstance(part.get(name), str):
                raise BadRequest("files are not fetched here; send `file_data`", param=f"{path}.{name}")
        raise BadRequest(f"`{path}.file_data` must be a text", param=f"{path}.file_data")


def _output(item: Item, path: str) -> None:
    _has("call_id")(item, path)
    if not isinstance(item.get("output"), str):
        _parts(item.get("output"), f"{path}.output")


def _reasoning(item: Item, path: str) -> None:
    for name in ("summary", "content"):
        value = item.get(name)
        if value is not None and not (
            isinstance(value, list)
            and all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in value)
        ):
            raise BadRequest(f"`{path}.{name}` must be a list of texts", param=f"{path}.{name}")
    if not isinstance(item.get("encrypted_content") or "", str):
        raise BadRequest(f"`{path}.encrypted_content` must be a text", param=f"{path}.encrypted_content")


def _approval(item: Item, path: str) -> None:
    _has("approval_request_id")(item, path)
    if not isinstance(item.get("approve"), bool):
        raise BadRequest(f"`{path}.approve` must be true or false", param=f"{path}.approve")


def _searched(item: Item, path: str) -> None:
    queries, results = item.get("queries"), item.get("results")
    if not isinstance(queries, list) or not all(isinstance(query, str) for query in queries):
        raise BadRequest(f"`{path}.queries` must be a list of texts", param=f"{path}.queries")
    if results is not None and not (isinstance(results, list) and all(isinstance(each, dict) for each in results)):
        raise BadRequest(f"`{path}.results` must be a list of objects", param=f"{path}.results")


def _any(item: Item, path: str) -> None:
    """Check nothing: the item tells what was done, and is only kept."""


Check = Callable[[Item, str], Item | None]

PARTS: Final[dict[str, Callable[[Item, str], None]]] = {
    "input_text": _has("text"),
    "output_text": _has("text"),
    "text": _has("text"),
    "refusal": _has("refusal"),
    "input_image": _image,
    "input_file": _file,
    "input_audio": _any,
}
CHECKS: Final[dict[str, Check]] = {
    "message": _message,
    "function_call": _has("call_id", "name", "arguments"),
    "function_call_output": _output,
    "custom_tool_call": _has("call_id", "name", "input"),
    "custom_tool_call_output": _output,
    "reasoning": _reasoning,
    "item_reference": _has("id"),
    "compaction": _has("encrypted_content"),
    "compaction_trigger": _any,
    "mcp_list_tools": _has("server_label"),
    "mcp_call": _has("server_label", "name", "arguments"),
    "mcp_approval_request": _has("id", "server_label", "name", "arguments"),
    "mcp_approval_response": _approval,
    "web_search_call": _any,
    "file_search_call": _searched,
}
