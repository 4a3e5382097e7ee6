"""What a model is asked for one output, again and again until it fits. Decides; does no I/O."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.engines.structured import CORRECT, NOTHING
from tandem_orchestrator.errors import BadRequest, Malformed, Unfit
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.observability.metrics import TASK_RETRIES
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.tasks.output import Misfit
from tandem_orchestrator.tasks.version import Version

INVALID_OUTPUT: Final = "invalid_output"
WITHHELD: Final = "content_filter"
CUT: Final = "length"

_retries = Labelled(TASK_RETRIES)


class Said(NamedTuple):
    """What a model answered."""

    text: str
    finish_reason: Any = None
    tandem: Any = None
    """What the gateway tells of it, such as what guardrails did."""


def said_in(answer: dict[str, Any]) -> Said:
    """Return what a whole chat completion says. Raises `Malformed`."""
    try:
        choice = answer["choices"][0]
        content = (choice.get("message") or {}).get("content")
        return Said(content if isinstance(content, str) else "", choice.get("finish_reason"), answer.get("tandem"))
    except (AttributeError, LookupError, TypeError):
        raise Malformed("the engine's answer has another shape than OpenAI's") from None


class Asking:
    """The requests for one output."""

    def __init__(self, version: Version, messages: list[dict[str, Any]], decided: Sequence[dict[str, Any]]) -> None:
        """`decided` is what guardrails decided before the first of them."""
        task = version.settings
        self._decided = decided
        self._version = version
        self._messages = messages
        self._fields = version.free if task.tools else version.constrained
        self._left = max(1, task.retries) if task.tools else task.retries

    def request(self, *, stream: bool) -> Request:
        """Return the next one."""
        task = self._version.settings
        payload: dict[str, Any] = {"messages": self._messages}
        if stream:
            payload["stream"] = True
        request = Request(ENDPOINTS[CHAT], payload, task.model, stream=stream)
        request.configured = self._fields
        return request

    def told(self, said: Said) -> Any:
        """Return what the gateway tells of the output that was said."""
        if not self._decided:
            return said.tandem
        told = said.tandem if isinstance(said.tandem, dict) else {}
        return {**told, "guardrails": self._all_decided(said)}

    def output(self, said: Said) -> Any:
        """Return the output that was said.

        Raises `Misfit` where it is to be asked for again, as the next request then does, else `Unfit`, `BadRequest`.
        """
        if said.finish_reason == WITHHELD:
            raise BadRequest("the output was withheld by what filters it", code=WITHHELD)
        try:
            return self._version.output.read(said.text)
        except Misfit as misfit:
            if said.finish_reason == CUT:
                raise Unfit(
                    "the model's output was cut at as many tokens as it may have; ask for less, or have the task's "
                    "parameters.max_tokens raised",
                    code=INVALID_OUTPUT,
                ) from None
            if not self._left:
                raise Unfit(
                    f"the model's output does not fit the task's schema: {misfit}", code=INVALID_OUTPUT
                ) from None
            self._correct(said, misfit)
            raise

    def _correct(self, said: Said, misfit: Misfit) -> None:
        self._left -= 1
        self._decided = self._all_decided(said)
        _retries[self._version.labels].inc()
        self._fields = self._version.constrained
        self._messages = [
            *self._messages,
            {"role": "assistant", "content": said.text or NOTHING},
            {"role": "user", "content": CORRECT.format(misfit)},
        ]

    def _all_decided(self, said: Said) -> list[dict[str, Any]]:
        """Return what guardrails have decided up to an answer, each once."""
        told = said.tandem.get("guardrails") if isinstance(said.tandem, dict) else None
        new = [each for each in told if each not in self._decided] if isinstance(told, list) else ()
        return [*self._decided, *new]
