"""The passes of one response through its engine. Decides; does no I/O."""

from collections.abc import Sequence
from typing import Any, Final

from tandem_contract.config import Tools as ToolSettings

from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.gateway.tool_session import ToolSession, Turn
from tandem_orchestrator.gateway.tool_use import ToolUse
from tandem_orchestrator.observability.record import count
from tandem_orchestrator.responses.create import Create
from tandem_orchestrator.responses.tools import ResponseTools, Served
from tandem_orchestrator.tools.toolbox import ToolCall, ToolResult

DETAILS: Final = {"prompt_tokens_details": "cached_tokens", "completion_tokens_details": "reasoning_tokens"}


class ResponseSession(ToolSession):
    """As for a chat, but that the server's calls run also beside the client's: a response keeps what they gave."""

    def __init__(
        self, request: Request, use: ToolUse, tools: ResponseTools, create: Create, settings: ToolSettings
    ) -> None:
        super().__init__(request, use, settings)
        self.tools = tools
        self._most = settings.max_calls if create.max_tool_calls is None else create.max_tool_calls

    @property
    def exhausted(self) -> bool:
        """True when the engine has to answer without asking for another tool."""
        return super().exhausted or self._calls >= self._most

    def add_usage(self, usage: Any) -> None:
        """Sum a pass's usage, its details too."""
        super().add_usage(usage)
        if isinstance(usage, dict):
            for where, name in DETAILS.items():
                if isinstance(details := usage.get(where), dict):
                    self.usage[name] = self.usage.get(name, 0) + count(details.get(name))

    def is_clients(self, name: str) -> bool:
        """Return whether the client has to serve calls of that tool."""
        return name in self._client

    def served(self, name: str) -> Served | None:
        """Return how items call a tool of the server; None for a tool that nobody has."""
        return self.tools.served.get(name)

    def server_calls(self, turn: Turn) -> list[ToolCall]:
        """Return the calls to run now; none when the turn ends the response, or when as many ran as may."""
        if self.exhausted:
            return []
        calls = [call for call in turn.calls if not (self.is_clients(call.name) or self.needs_consent(call))]
        return calls[: self._most - self._calls]

    def needs_consent(self, call: ToolCall) -> bool:
        """Return whether a person has to allow the call."""
        served = self.served(call.name)
        return served is not None and served.consent

    def goes_on(self, turn: Turn, results: Sequence[ToolResult]) -> bool:
        """Return whether the engine is asked again: not while somebody else has to serve a call."""
        return bool(results) and not any(self.is_clients(call.name) or self.needs_consent(call) for call in turn.calls)
