"""Items as the messages of a chat, which is what engines are asked."""

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.responses.items import TEXTS, Item, text_of
from tandem_orchestrator.tools.passage import Passage, passages_in, written

Message = dict[str, Any]
Unseal = Callable[[str], Any]

TEXT_FILES: Final = ("text/", "application/json", "application/xml", "application/yaml", "application/x-yaml")
SEARCH_FAILED: Final = '{"error":"the search failed"}'
NOT_KEPT: Final = "What this search found is not there any more. Search again if it is needed."
INSTRUCTIONS: Final = ("system", "developer")


def chat_of(items: Iterable[Item], instructions: str | None, reasoning_field: str, unseal: Unseal) -> "Chat":
    """Return the chat that `items` are, in order; `unseal` reads what a client keeps for us.

    Chat templates take one instruction, at the start: what instructs before anything is said becomes one message.
    Raises `BadRequest`.
    """
    chat = Chat(instructions, reasoning_field, unseal)
    for item in items:
        add = ADD.get(item["type"])
        if add is not None:
            add(chat, item)
    return chat


def instruct(chat: list[Message], text: str) -> None:
    """Add an instruction to a chat."""
    if len(chat) == 1 and chat[0]["role"] == "system":
        chat[0]["content"] += "\n\n" + text
    else:
        chat.append({"role": "system", "content": text})


def begun_with(messages: Iterable[Message], instructions: str | None) -> list[Message]:
    """Return a chat that begins with instructions and goes on with messages."""
    chat: list[Message] = []
    if instructions:
        instruct(chat, instructions)
    for message in messages:
        if message["role"] == "system":
            instruct(chat, message["content"])
        else:
            chat.append(message)
    return chat


class Chat:
    """Messages that grow by items."""

    def __init__(self, instructions: str | None, reasoning_field: str, unseal: Unseal) -> None:
        self._instructions = instructions
        self.messages: list[Message] = begun_with([], instructions)
        self.passages: list[Passage] = []
        """What searches found, in the order of its numbers."""
        self.found_before = 0
        """How many of them were there when a person last said something."""
        self._reasoning_field = reasoning_field
        self._unseal = unseal
        self._thought = ""
        self._requests: dict[str, Item] = {}

    def instruct(self, text: str) -> None:
        """Add an instruction."""
        instruct(self.messages, text)

    def message(self, item: Item) -> None:
        """Add what somebody said."""
        role = item["role"]
        if role in INSTRUCTIONS:
            self.instruct(text_of(item["content"]))
        elif role == "assistant":
            said = "\n".join(part.get("refusal") or part.get("text") or "" for part in item["content"])
            self.messages.append(self._assistant(said))
        else:
            self.found_before = len(self.passages)
            self.messages.append({"role": role, "content": _content(item["content"])})

    def thought(self, item: Item) -> None:
        """Add reasoning, which goes along with what the assistant says or does next."""
        text = text_of(item.get("content"))
        if not text and (sealed := item.get("encrypted_content")):
            text = self._unseal(sealed)
        self._thought = text

    def call(self, item: Item, name: str | None = None) -> None:
        """Add a tool call; calls in a row are one message."""
        arguments = item["arguments"] if "arguments" in item else orjson.dumps({"input": item["input"]}).decode()
        function = {"name": name or item["name"], "arguments": arguments or "{}"}
        call = {"id": item.get("call_id") or item["id"], "type": "function", "function": function}
        last = self.messages[-1] if self.messages else None
        if last is not None and last["role"] == "assistant":
            last.setdefault("tool_calls", []).append(call)
        else:
            self.messages.append({**self._assistant(None), "tool_calls": [call]})

    def result(self, item: Item) -> None:
        """Add what a call gave."""
        self.messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": _content(item["output"])})

    def served(self, item: Item) -> None:
        """Add a call that ran on the server, and its result."""
        self.call(item, tool_name(item))
        error = item.get("error")
        output = item.get("output") if error is None else _problem(error)
        self.messages.append({"role": "tool", "tool_call_id": item["id"], "content": output or ""})

    def searched(self, item: Item) -> None:
        """Add a search that ran on the server."""
        action = item.get("action") or {"queries": item.get("queries") or []}
        self.call({"id": item["id"], "arguments": orjson.dumps(action).decode()}, item["type"].removesuffix("_call"))
        self.messages.append({"role": "tool", "tool_call_id": item["id"], "content": self._found(item, action)})

    def _found(self, item: Item, action: dict[str, Any]) -> str:
        """Return what a search found, numbered on from what the ones before found."""
        results = item.get("results")
        if not isinstance(results, list):
            found = results or action.get("sources") or (SEARCH_FAILED if item.get("status") == "failed" else NOT_KEPT)
            return found if isinstance(found, str) else orjson.dumps(found).decode()
        passages = passages_in(results)
        content = written(passages, len(self.passages))
        self.passages += passages
        return content

    def request(self, item: Item) -> None:
        """Note a wish to call, which nobody may have allowed yet."""
        self._requests[item["id"]] = item

    def answer(self, item: Item) -> None:
        """Add what was forbidden; what was allowed has run, and is an item of its own."""
        request = self._requests.get(item["approval_request_id"])
        if request is not None and not item["approve"]:
            self.call(request, tool_name(request))
            why = item.get("reason") or "the user did not allow it"
            self.messages.append(
                {"role": "tool", "tool_call_id": request["id"], "content": orjson.dumps({"error": why}).decode()}
            )

    def compacted(self, item: Item) -> None:
        """Begin anew with what was kept of all that came before."""
        self.messages = begun_with(self._unseal(item["encrypted_content"]), self._instructions)

    def _assistant(self, content: str | None) -> Message:
        message: Message = {"role": "assistant", "content": content}
        if self._thought:
            message[self._reasoning_field] = self._thought
            self._thought = ""
        return message


def tool_name(item: Item) -> str:
    """Return the name under which the model knows the tool of an MCP item."""
    label = item["server_label"]
    return item["name"] if label == OWN_TOOLS else f"{label}_{item['name']}"


OWN_TOOLS: Final = "tandem"
"""Label of the server's tools that are on no MCP server."""

ADD: Final[dict[str, Callable[[Chat, Item], None]]] = {
    "message": Chat.message,
    "reasoning": Chat.thought,
    "function_call": Chat.call,
    "function_call_output": Chat.result,
    "custom_tool_call": Chat.call,
    "custom_tool_call_output": Chat.result,
    "mcp_call": Chat.served,
    "mcp_approval_request": Chat.request,
    "mcp_approval_response": Chat.answer,
    "web_search_call": Chat.searched,
    "file_search_call": Chat.searched,
    "compaction": Chat.compacted,
}


def _content(content: Any) -> str | list[dict[str, Any]]:
    if isinstance(content, str) or all(part["type"] in TEXTS for part in content):
        return text_of(content)
    return [_part(part) for part in content]


def _problem(error: Any) -> str:
    """Return what a call that failed told, as the model got it."""
    content = error.get("content") if isinstance(error, dict) else None
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return text_of(content)
    return orjson.dumps({"error": error}).decode()


def _part(part: Item) -> dict[str, Any]:
    kind = part["type"]
    if kind == "input_image":
        image = {"url": part["image_url"]}
        if part.get("detail"):
            image["detail"] = part["detail"]
        return {"type": "image_url", "image_url": image}
    if kind == "input_file":
        return _file(part)
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": part.get("input_audio")}
    return {"type": "text", "text": part.get("text") or part.get("refusal") or ""}


def _file(part: Item) -> dict[str, Any]:
    """Return a text file as text, and another as engines that read it take it."""
    name, data = part.get("filename") or "file", part["file_data"]
    head, _, encoded = data.partition(";base64,")
    if not head.startswith("data:") or not head.removeprefix("data:").startswith(TEXT_FILES):
        return {"type": "file", "file": {"filename": name, "file_data": data}}
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise BadRequest(f"the file {name!r} is no text in base64: {error}", param="input") from None
    return {"type": "text", "text": f"{name}:\n{text}"}
