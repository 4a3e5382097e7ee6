"""How an engine is asked for a pass: by its chat completions, or by responses of its own."""

from typing import Any, NamedTuple

from tandem_orchestrator.engines.endpoints import CHAT, RESPONSES
from tandem_orchestrator.gateway.tool_session import Turn, turn_of
from tandem_orchestrator.responses.output import Output
from tandem_orchestrator.responses.own import OwnTurn, own_body, own_turn, own_usage
from tandem_orchestrator.responses.session import ResponseSession
from tandem_orchestrator.responses.turn import ResponseTurn, logprobs_in


class Spoken(NamedTuple):
    """What an engine answered in one piece."""

    turn: Turn
    finish_reason: str | None
    usage: Any
    logprobs: list[Any] | None = None


class Speech:
    """By chat completions, which every engine has."""

    path = CHAT

    def body(self, chat: bytes) -> bytes:
        """Return a chat request as the engine is asked it."""
        return chat

    def whole(self, answer: dict[str, Any]) -> Spoken:
        """Read a whole answer. Raises `Malformed`."""
        choice = answer["choices"][0]
        turn = turn_of(choice.get("message") or {})
        return Spoken(turn, choice.get("finish_reason"), answer.get("usage"), logprobs_in(choice))

    def streamed(self, output: Output, session: ResponseSession) -> ResponseTurn:
        """Return what reads a streamed answer."""
        return ResponseTurn(output, session)


class OwnSpeech(Speech):
    """By the engine's `/v1/responses`."""

    path = RESPONSES

    def body(self, chat: bytes) -> bytes:
        """See `Speech`."""
        return own_body(chat)

    def whole(self, answer: dict[str, Any]) -> Spoken:
        """See `Speech`."""
        turn, reason = own_turn(answer)
        return Spoken(turn, reason, own_usage(answer.get("usage")))

    def streamed(self, output: Output, session: ResponseSession) -> ResponseTurn:
        """See `Speech`."""
        return OwnTurn(output, session)
