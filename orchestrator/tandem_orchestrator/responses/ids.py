"""Names of responses, conversations and items.

An item's id holds that of its response, so that an item is found without an index of its own.
"""

from typing import Final

from tandem_orchestrator.store.ids import LENGTH, new

RESPONSE: Final = "resp_"
CONVERSATION: Final = "conv_"

PREFIXES: Final = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "reasoning": "rs_",
    "compaction": "cmp_",
    "mcp_call": "mcp_",
    "mcp_list_tools": "mcpl_",
    "mcp_approval_request": "mcpr_",
    "mcp_approval_response": "mcpa_",
    "web_search_call": "ws_",
    "file_search_call": "fs_",
}
OTHER: Final = "item_"


def response() -> str:
    """Return a new response's id."""
    return RESPONSE + new()


def conversation() -> str:
    """Return a new conversation's id."""
    return CONVERSATION + new()


def item(kind: str, owner: str, number: int, *, of_input: bool = False) -> str:
    """Return the id of a response's item; `owner` is the response's id."""
    mark = "i" if of_input else "o"
    return f"{PREFIXES.get(kind, OTHER)}{owner.partition('_')[2]}{mark}{number:x}"


def owner_of(item_id: str) -> str | None:
    """Return the id of the response that an item belongs to, None for an item that was named otherwise."""
    digits = item_id.partition("_")[2]
    if len(digits) < LENGTH + 2 or digits[LENGTH] not in "io":
        return None
    return RESPONSE + digits[:LENGTH]
