"""The guardrails of one call to a model: every text on its way passes here, and may be masked, withheld or refused."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final

import orjson
from tandem_contract.config import GuardedText, GuardrailAction

from tandem_orchestrator.errors import GatewayError, GuardrailAway, TextBlocked
from tandem_orchestrator.gateway.request import Request
from tandem_orchestrator.gateway.tool_session import ToolSession, Turn
from tandem_orchestrator.guardrails.decision import Decisions
from tandem_orchestrator.guardrails.finding import STEP, UNAVAILABLE, UNSEEN, Finding, found, judged
from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.guardrails.rails import Applying
from tandem_orchestrator.guardrails.texts import Text, Texts
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.tools.passage import Passage
from tandem_orchestrator.tools.toolbox import REFUSED, ToolCall, ToolResult

RETRY_AFTER: Final = 5.0
NOT_READ: Final = frozenset(
    {
        "cache_salt",
        "metadata",
        "model",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "stream_options",
        "tandem",
        "user",
    }
)
"""Fields of a request that no model reads."""
ASKED: Final = frozenset({"messages", "prompt", "suffix", "input", "query", "queries", "documents", "items"}) | {
    "text_1",
    "text_2",
    "data_1",
    "data_2",
}
"""Fields that are what a model is asked, and may say it otherwise than by texts."""
CLOSED: Final = frozenset(
    {
        "audio_data",
        "chat_template",
        "image_data",
        "input_embeds",
        "multi_modal_data",
        "multimodal_data",
        "prompt_embeds",
        "prompt_token_ids",
        "video_data",
    }
)
"""Fields that become a part of what a model reads, and are no texts that it will read."""
TOOL_ROLES: Final = ("tool", "function")
CALLS: Final = ("tool_calls", "function_call")
FILTERED: Final = "content_filter"
WITHHELD: Final = "withheld"
MOST_SPANS: Final = 20_000
"""Of a text, to be masked in it; one in which more is found is blocked."""
LEAST_WEIGHT: Final = 256  # characters that take as long as it takes to look at a shorter text
GLUE: Final = ("", "\n")
"""What engines put between the parts of a message, by its model's template."""
_GIVEN: Final = (GuardedText.INPUT, GuardedText.TOOL_RESULTS)


class Guard:
    """`applying` are the rails of this call. What they decide is told to the client, counted and logged."""

    def __init__(self, applying: Applying, record: Record) -> None:
        self._applying = applying
        self.decisions = Decisions(record)

    @property
    def output_rails(self) -> Sequence[Rail]:
        """Rails that judge what the model says."""
        return self._applying.get(GuardedText.OUTPUT, ())

    @property
    def tool_argument_rails(self) -> Sequence[Rail]:
        """Rails that judge what the model gives to tools."""
        return self._applying.get(GuardedText.TOOL_ARGUMENTS, ())

    @property
    def shown(self) -> dict[str, Any]:
        """What a client reads of the decisions, in an answer's `tandem`."""
        return {"guardrails": self.decisions.shown}

    def note(self, rail: Rail, on: GuardedText, kinds: Iterable[str], action: str | None = None) -> None:
        """Note a decision that was made elsewhere; `action` where it is not the rail's."""
        self.decisions.add(rail, on, kinds, action)

    async def input(self, request: Request, param: str | None = None) -> None:
        """Judge what a client asks, and mask it in the request; `param` is its field where the request is made of one.

        Raises `TextBlocked`, `GuardrailAway`.
        """
        if self._applying.keys().isdisjoint(_GIVEN):
            return
        texts = _asked(request.payload)
        if blocked := self._unseen(texts) or await self._look(texts):
            raise _refusal(*blocked, param or blocked[0].path or request.endpoint.asks)
        texts.mask()

    async def output(self, answer: dict[str, Any]) -> bool:
        """Judge an engine's whole answer, and mask or withhold what it says in it; return whether it has changed."""
        choices = answer.get("choices")
        told = False
        if isinstance(choices, list):
            judging = [self._choice(choice) for choice in choices if isinstance(choice, dict)]
            told = any([await each for each in judging] if len(judging) == 1 else await asyncio.gather(*judging))
        if self.decisions:
            answer["tandem"] = self.shown
        return told or bool(self.decisions)

    async def document(self, answer: dict[str, Any]) -> bool:
        """Judge an answer that is one text with what tells more of it; return whether it was masked.

        Raises as `input`: such an answer has no word for being withheld.
        """
        texts = Texts()
        for name in answer:
            texts.take(answer, name, name, GuardedText.OUTPUT)
        if blocked := await self._look(texts):
            raise _refusal(*blocked, None)
        return texts.mask()

    async def turn(self, turn: Turn) -> bool:
        """Judge the texts that the model said in one pass, and mask them; return false where they must not go out."""
        texts = Texts()
        said = {"content": turn.content, **turn.reasoning}
        for name in said:
            texts.take(said, name, name, GuardedText.OUTPUT)
        if await self._look(texts):
            return False
        if texts.mask():
            turn.content = said.pop("content")
            turn.reasoning = {name: text for name, text in said.items() if isinstance(text, str)}
        return True

    async def calls(self, calls: Sequence[ToolCall], session: ToolSession) -> list[ToolCall]:
        """Judge what the model gives to tools; return the calls as they may go on. What is blocked the session forbids.

        A blocked call has no arguments any more, so that nothing goes on with what was found in them.
        """
        if GuardedText.TOOL_ARGUMENTS not in self._applying:
            return [*calls]
        return [await self._call(call, session) for call in calls]

    async def result(self, result: ToolResult) -> ToolResult:
        """Judge what a tool gave; return what of that the model may see."""
        if result.passages is not None:
            return replace(result, passages=await self.passages(result.passages))
        texts, holder = Texts(), {"": result.content}
        texts.take(holder, "", "", GuardedText.TOOL_RESULTS)
        if blocked := await self._look(texts):
            why = f"the result of {result.call.name} was withheld: {_reason(blocked[1])} in it"
            return replace(result, status=REFUSED, content=orjson.dumps({"error": why}).decode())
        return replace(result, content=holder[""]) if texts.mask() else result

    async def passages(self, passages: Sequence[Passage]) -> list[Passage]:
        """Judge what a search found; return what of that the model may see."""
        if GuardedText.RETRIEVED_TEXT not in self._applying:
            return [*passages]
        return [*await asyncio.gather(*map(self._passage, passages))]

    async def _passage(self, passage: Passage) -> Passage:
        texts, fields = Texts(), passage._asdict()
        for name in ("text", "name", "heading", "url"):
            texts.take(fields, name, name, GuardedText.RETRIEVED_TEXT)
        if blocked := await self._look(texts):
            why = f"This passage was withheld: {_reason(blocked[1])} in it."
            return Passage(why, WITHHELD, file_id=passage.file_id)
        return Passage(**fields) if texts.mask() else passage

    async def _call(self, call: ToolCall, session: ToolSession) -> ToolCall:
        texts, holder = Texts(), {"arguments": call.arguments}
        texts.take(holder, "arguments", "arguments", GuardedText.TOOL_ARGUMENTS)
        if blocked := self._unseen(texts) or await self._look(texts):
            call = replace(call, arguments="{}")
            session.forbidden[call] = f"{call.name} was not run: {_reason(blocked[1])} in its arguments"
            return call
        return replace(call, arguments=holder["arguments"]) if texts.mask() else call

    async def _choice(self, choice: dict[str, Any]) -> bool:
        texts = Texts()
        message = choice.get("message")
        for name in choice.keys() - {"message", "logprobs", "finish_reason", "stop_reason"}:
            texts.take(choice, name, name, GuardedText.OUTPUT)
        for name in message if isinstance(message, dict) else ():
            on = GuardedText.TOOL_ARGUMENTS if name in CALLS else GuardedText.OUTPUT
            texts.take(message, name, name, on)
        if self._unseen(texts) or await self._look(texts):
            kept = {"index": choice.get("index", 0)}
            choice.clear()
            said = {"text": ""} if message is None else {"message": {"role": "assistant", "content": None}}
            choice.update({**kept, **said, "logprobs": None, "finish_reason": FILTERED})
            return True
        if texts.mask():
            choice.pop("token_ids", None)
            choice["logprobs"] = None  # its tokens are what was masked
            return True
        return False

    async def _look(self, texts: Texts) -> tuple[Text, Finding] | None:
        """Have all rails judge texts as they came: first those that find by rules, then, side by side, those that ask.

        What is to be masked is noted in the texts. Returns the first of what blocks.
        """
        weight = 0
        for text in texts.all:
            rails = self._applying.get(text.on, ())
            own = len(text.text) + LEAST_WEIGHT
            weight += own
            if weight > STEP:
                weight = own
                await asyncio.sleep(0)  # others go on between the texts
            findings = await found(rails, text.text)
            if blocked := self._heed(text, findings):
                return text, blocked
        for parts in texts.split:
            if blocked := await self._across(parts, self._applying.get(parts[0].on, ())):
                return parts[0], blocked
        return await self._ask(texts)

    async def _across(self, parts: Sequence[Text], rails: Sequence[Rail]) -> Finding | None:
        """Note what begins in one part of a message and ends in another; return what of that blocks."""
        for glue in GLUE if rails else ():
            starts = [0, *accumulate(len(part.text) + len(glue) for part in parts)][:-1]
            for finding in await found(rails, glue.join(part.text for part in parts)):
                for part, cut in _cut(finding.spans, parts, starts):
                    if blocked := self._heed(part, [finding._replace(spans=(cut,))]):
                        return blocked
        return None

    async def _ask(self, texts: Texts) -> tuple[Text, Finding] | None:
        asked = {
            on: "\n\n".join(text.text for text in texts.all if text.on is on)
            for on, rails in self._applying.items()
            if any(rail.judge is not None for rail in rails)
        }
        answers = await asyncio.gather(*(judged(self._applying[on], text) for on, text in asked.items()))
        for on, findings in zip(asked, answers, strict=True):
            nowhere = Text(on, "", "")
            if blocked := self._heed(nowhere, findings):
                return nowhere, blocked
        return None

    def _heed(self, text: Text, findings: Sequence[Finding]) -> Finding | None:
        """Note what rails say of a text; return the first of it that blocks."""
        self.decisions.add_all(text.on, findings)
        for finding in findings:
            if finding.blocks:
                return finding
            if finding.rail.action is GuardrailAction.MASK and not finding.failed:
                if text.holder is None or len(text.spans) + len(finding.spans) > MOST_SPANS:  # a name stays what it is
                    self.decisions.add(finding.rail, text.on, finding.kinds, GuardrailAction.BLOCK.value)
                    return finding
                text.spans += finding.spans
        return None

    def _unseen(self, texts: Texts) -> tuple[Text, Finding] | None:
        """Return the first of what no rail can look into, where it must not pass so."""
        for on, path in texts.unseen:
            for rail in self._applying.get(on, ()):
                finding = Finding(rail, (UNSEEN,), failed=True)
                self.decisions.add_all(on, (finding,))
                if finding.blocks:
                    return Text(on, "", path), finding
        return None


def _cut(spans: Iterable[Span], parts: Sequence[Text], starts: Sequence[int]) -> Iterator[tuple[Text, Span]]:
    """Yield what each part has of spans in all of them together, but of those that a part has for itself."""
    for span in spans:
        first, end = bisect_right(starts, span.start) - 1, bisect_left(starts, span.end)
        for n in range(first, end) if end - first > 1 else ():
            length = len(parts[n].text)
            start, stop = max(span.start - starts[n], 0), min(span.end - starts[n], length)
            if start < stop:
                yield parts[n], Span(start, stop, span.kind)


def _asked(payload: dict[str, Any]) -> Texts:
    """Return all texts of a request: what a tool gave to the client is told apart."""
    texts = Texts()
    for name, value in payload.items():
        if name in CLOSED and value is not None:
            texts.unseen.append((GuardedText.INPUT, name))
        elif name == "messages" and isinstance(value, list):
            for n, message in enumerate(value):
                role = message.get("role") if isinstance(message, dict) else None
                on = GuardedText.TOOL_RESULTS if role in TOOL_ROLES else GuardedText.INPUT
                texts.take(value, n, f"messages.{n}", on, asked=True)
        elif name not in NOT_READ:
            texts.take(payload, name, name, GuardedText.INPUT, asked=name in ASKED)
    return texts


def _reason(finding: Finding) -> str:
    if finding.failed:
        return f"guardrail {finding.rail.name} could not judge what is"
    return f"guardrail {finding.rail.name} found {', '.join(finding.kinds)}"


def _refusal(text: Text, finding: Finding, param: str | None) -> GatewayError:
    rail, kinds = finding.rail.name, ", ".join(finding.kinds)
    told = {"name": rail, "at": text.on.value, "kinds": [*finding.kinds]}
    if finding.kinds == (UNAVAILABLE,):
        away = GuardrailAway(f"guardrail {rail} gives no judgement at the moment", retry_after=RETRY_AFTER)
        away.more = {"guardrail": told}
        return away
    if finding.failed:
        why = f"it cannot look into `{text.path}`; leave that out"
    elif text.on is GuardedText.OUTPUT:
        why = f"the answer holds {kinds}"
    else:
        why = f"the request holds {kinds}; take it out"
    return TextBlocked(f"guardrail {rail}: {why}", told, param=param)
