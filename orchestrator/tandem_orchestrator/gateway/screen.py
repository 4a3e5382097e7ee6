"""Judges the streams of one call."""

from collections.abc import Callable, Sequence

from tandem_contract.config import GuardedText

from tandem_orchestrator.engines.correction import beside
from tandem_orchestrator.engines.dispatch import Call
from tandem_orchestrator.gateway.chunk import Json
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.guarded_choice import Choice
from tandem_orchestrator.guardrails.decision import ERROR_BLOCKED, ERROR_IGNORED
from tandem_orchestrator.guardrails.finding import judged
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.guardrails.window import Window


class Screen:
    """What was said in one pass of the engine is context for the next.

    `is_clients` says of a tool whether the client runs it; calls of others are judged where they run. A stream `tells`
    what was decided where nobody else does.
    """

    def __init__(
        self,
        guard: Guard,
        call: Call,
        heartbeat_seconds: float,
        is_clients: Callable[[str], bool] | None = None,
        *,
        tells: bool,
    ) -> None:
        self.guard = guard
        self.call = call
        self.heartbeat_seconds = heartbeat_seconds
        self.is_clients = is_clients
        self.tells = tells
        self._windows: dict[int, dict[str, Window]] = {}

    @property
    def needed(self) -> bool:
        """Whether there is anything to judge, or to tell."""
        guard = self.guard
        return bool(guard.output_rails or guard.tool_argument_rails or guard.decisions)

    def choice(self, index: int) -> Choice:
        """Return a choice of a stream, with what was said in it before."""
        return Choice(index, self._windows.setdefault(index, {}), self._window)

    async def judge(self, window: Window) -> None:
        """Have judges say something about what waits, if it is time for that."""
        text = window.due()
        if text is None:
            return
        blocks = False
        for finding in await beside(judged(window.judges, text), self.call.heartbeat, self.heartbeat_seconds):
            action = (ERROR_BLOCKED if finding.blocks else ERROR_IGNORED) if finding.failed else None
            self.guard.note(finding.rail, GuardedText.OUTPUT, finding.kinds, action)
            blocks = blocks or finding.blocks
        window.judged(blocks=blocks)

    async def judge_calls(self, calls: Sequence[Json]) -> bool:
        """Judge the client's calls among these, and mask what they are given; false where they must not go on."""
        judging = [call for call in calls if self.is_clients is None or self.is_clients(call["function"]["name"])]
        if not judging:
            return True
        choice: Json = {"index": 0, "message": {"role": "assistant", "tool_calls": judging}, "finish_reason": None}
        await beside(self.guard.output({"choices": [choice]}), self.call.heartbeat, self.heartbeat_seconds)
        return choice["finish_reason"] is None

    def _window(self) -> Window:
        return Window(self.guard.output_rails, self._note)

    def _note(self, rail: Rail, kind: str) -> None:
        self.guard.note(rail, GuardedText.OUTPUT, (kind,))
