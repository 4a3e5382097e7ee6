"""Calls that a person has allowed, to be run before the model is asked again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.responses.items import Item
from tandem_orchestrator.responses.prompt import tool_name
from tandem_orchestrator.responses.tools import ResponseTools
from tandem_orchestrator.tools.toolbox import ToolCall


@dataclass(frozen=True, slots=True)
class Approved:
    """A call, as it was asked for and allowed."""

    call: ToolCall
    request_id: str


def approved(given: Sequence[Item], earlier: Iterable[Item], tools: ResponseTools) -> list[Approved]:
    """Return the calls that `given` allows. What runs is what was asked for, in `earlier` or beside the answer.

    Raises `BadRequest` for what was not asked for, was answered before, or is no tool of this request.
    """
    answers = [(n, item) for n, item in enumerate(given) if item["type"] == "mcp_approval_response"]
    if not answers:
        return []
    before = list(earlier)
    requests = {item["id"]: item for item in (*given, *before) if item["type"] == "mcp_approval_request"}
    used = {item["approval_request_id"] for item in before if item["type"] == "mcp_approval_response"}
    found = []
    for n, answer in answers:
        request_id, path = answer["approval_request_id"], f"input.{n}.approval_request_id"
        request = requests.get(request_id)
        if request is None:
            raise BadRequest(f"nothing asked for the approval {request_id!r}", param=path)
        if request_id in used:
            raise BadRequest(f"the approval {request_id!r} has been answered already", param=path)
        used.add(request_id)
        if answer["approve"]:
            found.append(_approved(request, tools, path))
    return found


def _approved(request: Item, tools: ResponseTools, path: str) -> Approved:
    name = tool_name(request)
    if name not in tools.served:
        raise BadRequest(
            f"{request['name']} of {request['server_label']!r} is no tool of this request; declare it again",
            param=path,
        )
    return Approved(ToolCall(request["id"], name, request["arguments"]), request["id"])
