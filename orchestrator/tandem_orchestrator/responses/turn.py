"""Reads one streamed pass of the engine into a response's output; does no I/O."""

from typing import Any

from tandem_orchestrator.gateway.streamed_turn import StreamedTurn
from tandem_orchestrator.gateway.tool_session import REASONING
from tandem_orchestrator.responses.output import Output
from tandem_orchestrator.responses.session import ResponseSession


class ResponseTurn(StreamedTurn):
    """Text and reasoning go on at once, and so do the arguments of the client's functions."""

    def __init__(self, output: Output, session: ResponseSession) -> None:
        super().__init__({})
        self.open: dict[int, dict[str, Any]] = {}
        """Items of the client's calls, by the engine's index."""
        self._output = output
        self._session = session

    def opened(self) -> dict[int, dict[str, Any]]:
        """Return `open` by the calls' places in the turn: engines number them as they like."""
        return {place: self.open[index] for place, index in enumerate(sorted(self._calls)) if index in self.open}

    def _visible(self, _: dict[str, Any], choice: dict[str, Any]) -> None:
        delta = choice.get("delta") or {}
        for name in REASONING:
            if text := delta.get(name):
                self._texts.setdefault(name, []).append(text)
                self._output.think(text)
                break
        if text := delta.get("content"):
            self._texts.setdefault("content", []).append(text)
            self._output.say(text, logprobs_in(choice))
        for fragment in delta.get("tool_calls") or ():
            self._collect(fragment)
        if reason := choice.get("finish_reason"):
            self.finish_reason = reason

    def _collect(self, fragment: dict[str, Any]) -> None:
        super()._collect(fragment)
        index = int(fragment.get("index") or 0)
        call = self._calls[index]
        if not self._session.is_clients(call.name) or call.name in self._session.tools.free:
            return
        item = self.open.get(index)
        added = (fragment.get("function") or {}).get("arguments") or ""
        if item is None:
            item = self._output.begin("function_call", call_id=call.id, name=call.name, arguments="")
            self.open[index] = item
            added = call.arguments
        if added:
            item["arguments"] += added
            self._output.note(item, "response.function_call_arguments.delta", delta=added)


def logprobs_in(choice: dict[str, Any]) -> list[Any] | None:
    """Return the log probabilities of a choice's tokens, None where it has none."""
    found = choice.get("logprobs")
    return found.get("content") if isinstance(found, dict) else None
