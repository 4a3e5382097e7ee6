"""The passes of one response through its engine. Decides; does no I/O."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from tandem_contract.config import Tools as ToolSettings

from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.gateway.tool_session import CHANGING, ToolSession, Turn
from tandem_orchestrator.gateway.tool_use import ToolUse
from tandem_orchestrator.observability.record import count
from tandem_orchestrator.responses.create import Create
from tandem_orchestrator.responses.tools import ResponseTools, Served
from tandem_orchestrator.tools.citation import citations
from tandem_orchestrator.tools.toolbox import ToolCall, ToolResult

TOKENS: Final = "max_tokens"
DETAILS: Final = {"prompt_tokens_details": "cached_tokens", "completion_tokens_details": "reasoning_tokens"}


class ResponseSession(ToolSession):
    """As for a chat, but that the server's calls run also beside the client's: a response keeps what they gave."""

    changing: ClassVar[frozenset[str]] = CHANGING | {TOKENS}

    def __init__(
        self, request: Request, use: ToolUse, tools: ResponseTools, create: Create, settings: ToolSettings
    ) -> None:
        super().__init__(request, use, settings)
        self.tools = tools
        self._most = settings.max_calls if create.max_tool_calls is None else create.max_tool_calls
        self._most_tokens = create.max_output_tokens
        self.consented: frozenset[str] = frozenset()
        """Ids of calls that a person has allowed."""

    @property
    def exhausted(self) -> bool:
        """True when the engine has to answer without asking for another tool."""
        return super().exhausted or self._calls >= self._most

    @property
    def request(self) -> Request:
        """The chat request as it was before the first pass."""
        return self._request

    @property
    def payload(self) -> dict[str, Any]:
        """What it says; after a change, `write_again` must follow."""
        return self._request.payload

    def cited(self, text: str) -> list[dict[str, Any]]:
        """Return the annotations of a text that was said."""
        return citations(text, self.passages, self.found_before)

    def refusal(self, call: ToolCall) -> str | None:
        """Return why a call must not run; what a person allowed may."""
        return self.forbidden.get(call) if call.id in self.consented else super().refusal(call)

    def write_again(self) -> None:
        """Take a changed `payload` for the first pass."""
        self._fixed = b""

    @property
    def tokens_used_up(self) -> bool:
        """Whether the passes so far have said as much as the response may."""
        return self._most_tokens is not None and self._tokens_said() >= self._most_tokens

    def _tokens_said(self) -> int:
        return self.usage.get("completion_tokens", 0)

    def _changing(self, *, stream: bool) -> dict[str, Any]:
        changing = super()._changing(stream=stream)
        if (most := self.payload.get(TOKENS)) is not None:
            left = most if self._most_tokens is None else max(1, self._most_tokens - self._tokens_said())
            changing[TOKENS] = min(most, left)
        return changing

    def add_usage(self, usage: Any) -> None:
        """Sum a pass's usage, its details too."""
        super().add_usage(usage)
        if isinstance(usage, dict):
            for where, name in DETAILS.items():
                if isinstance(details := usage.get(where), dict):
                    self.usage[name] = self.usage.get(name, 0) + count(details.get(name))

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
        """Return whether a person has to allow the call; one that will not run is not asked for."""
        served = self.served(call.name)
        return served is not None and served.consent and call not in self.forbidden

    def goes_on(self, turn: Turn, results: Sequence[ToolResult]) -> bool:
        """Return whether the engine is asked again: not while somebody else has to serve a call."""
        return bool(results) and not any(self.is_clients(call.name) or self.needs_consent(call) for call in turn.calls)
