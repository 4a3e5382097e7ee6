"""What a message says besides its text, whichever way it was sent: tool calls, citations, its end, its usage."""

from collections.abc import Sequence
from random import getrandbits
from typing import Any, Final

import orjson

from tandem_orchestrator.errors import Malformed, Stopping
from tandem_orchestrator.observability.record import Record, count

Block = dict[str, Any]

SIGNATURE: Final = "unsigned"
"""Of what was thought: clients hand it back with the thought, and nothing here depends on whose it is."""
INVALID_JSON: Final = "INVALID_JSON"
"""Field of a call's input that holds what the model wrote where that is no JSON object."""
ENDINGS: Final = {"length": "max_tokens", "content_filter": "refusal"}
UNFINISHED: Final = ("abort", "error")
"""Reasons of engines that ended an answer before it was whole."""
PAGE: Final = "web_search_result_location"
SEARCH: Final = "web_search:"
"""Begins what a record tells of a search."""


def new_id() -> str:
    """Return the id of a message."""
    return f"msg_{getrandbits(128):032x}"  # no secret: nothing is kept under it


class CalledTool:
    """A call of one of the client's tools, as it grows by the pieces of a stream or comes whole."""

    __slots__ = ("id", "name", "pieces")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.pieces: list[str] = []

    def add(self, fragment: dict[str, Any]) -> None:
        """Take what an engine says of it. Raises `Malformed`."""
        function = fragment.get("function") or {}
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(arguments, dict):  # as engines with an API of their own have them
            arguments = orjson.dumps(arguments).decode()
        for value in (fragment.get("id"), name, arguments):
            if not (value is None or isinstance(value, str)):
                raise Malformed("the engine's answer holds a tool call of another shape than OpenAI's")
        self.id = self.id or fragment.get("id") or ""
        if name and name != self.name:  # some say it with each piece
            self.name += name
        if arguments:
            self.pieces.append(arguments)

    def block(self, message: str, number: int) -> Block:
        """Return it as a block of a message. Raises `Malformed`."""
        if not self.name:
            raise Malformed("the engine's answer holds a tool call without a name")
        return {
            "type": "tool_use",
            "id": self.id or f"toolu_{message.partition('_')[2]}_{number}",
            "name": self.name,
            "input": _input("".join(self.pieces)),
        }


def _input(arguments: str) -> dict[str, Any]:
    try:
        found = orjson.loads(arguments or "{}")
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {INVALID_JSON: arguments}


def ending(finish_reason: Any, stopped_by: Any, stops: Sequence[str], *, called: bool, refused: bool) -> Block:
    """Return how a message ends: `stop_reason` and `stop_sequence`. Raises `Stopping`."""
    if finish_reason in UNFINISHED:
        raise Stopping("the engine aborted the request in the midst of its answer")
    reason, sequence = "end_turn", None
    if refused:
        reason = "refusal"
    elif finish_reason in ENDINGS:
        reason = ENDINGS[finish_reason]
    elif called:
        reason = "tool_use"
    elif isinstance(stopped_by, str) and stopped_by in stops:
        reason, sequence = "stop_sequence", stopped_by
    return {"stop_reason": reason, "stop_sequence": sequence}


def usage(prompt: int, completion: int, told: Any, record: Record) -> Block:
    """Return a message's usage; `told` is what the engine says of it, with what of the prompt was in its cache."""
    details = told.get("prompt_tokens_details") if isinstance(told, dict) else None
    cached = min(prompt, count(details.get("cached_tokens"))) if isinstance(details, dict) else 0
    used: Block = {
        "input_tokens": prompt - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": completion,
    }
    if searches := sum(call.startswith(SEARCH) for call in record.tool_calls):
        used["server_tool_use"] = {"web_search_requests": searches, "web_fetch_requests": 0}
    return used


def citations(annotations: Any) -> list[Block]:
    """Return what a text cites, as Anthropic's API has it; `annotations` are a chat's."""
    found = []
    for annotation in annotations if isinstance(annotations, list) else ():
        kind = annotation.get("type") if isinstance(annotation, dict) else None
        cited = annotation.get(kind) if isinstance(kind, str) else None
        if isinstance(cited, dict) and kind in CITED:
            found.append(CITED[kind](cited))
    return found


def searched(cited: Sequence[Block], message_id: str) -> list[Block]:
    """Return a search of the web and its result, from which clients list sources: the pages that a text cites."""
    pages = {
        page["url"]: {
            "type": "web_search_result",
            "url": page["url"],
            "title": page["title"] or page["url"],
            "encrypted_content": "",
            "page_age": None,
        }
        for page in cited
        if page["type"] == PAGE and isinstance(page["url"], str)
    }
    if not pages:
        return []
    call = message_id.replace("msg_", "srvtoolu_")
    return [
        {"type": "server_tool_use", "id": call, "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": call, "content": [*pages.values()]},
    ]


def _page(cited: Block) -> Block:
    return {
        "type": PAGE,
        "url": cited.get("url") or "",
        "title": cited.get("title"),
        "cited_text": "",
        "encrypted_index": "",
    }


def _file(cited: Block) -> Block:
    return {
        "type": "search_result_location",
        "source": cited.get("file_id") or "",
        "title": cited.get("filename"),
        "cited_text": cited.get("quote") or "",
        "search_result_index": 0,
        "start_block_index": 0,
        "end_block_index": 0,
    }


CITED: Final = {"url_citation": _page, "file_citation": _file}
