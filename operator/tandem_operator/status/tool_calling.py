"""Whether the engines that are to call tools do: parser, chat template and model together, as orchestrators saw it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.status import ConditionStatus, ConditionType
from tandem_operator.api.tool_calling import Verification
from tandem_operator.status.masking import masked
from tandem_operator.status.observed import Observed
from tandem_operator.status.stored import Verdict, former_conditions
from tandem_operator.status.tier import TierView

FAULTS: Final = (
    "EngineError",
    "ParserMismatch",
    "InvalidArguments",
    "NoToolCall",
    "StreamBroken",
    "SchemaIgnored",
)
"""Reasons that orchestrators give, the worst first; tests hold them to the orchestrator's own."""
_VERIFIED: Final = "Verified"
_NOT_VERIFIED: Final = "NotVerified"
_RIGHT: Final = "a tool call, a streamed one and a JSON schema came back right from"
_LONGEST_MESSAGE: Final = 4096


@dataclass(frozen=True)
class ToolCallingView:
    """The engines that are to call tools, with what was said of them."""

    service: LLMService
    observed: Observed
    engines: Sequence[TierView]

    def of(self, engine: TierView) -> list[Verification]:
        """Return what was said of an engine's replicas."""
        return [each for each in self.observed.tool_calling if each.engine == engine.tier]

    @property
    def faults(self) -> list[Verification]:
        """The replicas that do not call tools as they should, the worst first."""
        wrong = [each for engine in self.engines for each in self.of(engine) if each.verified is False]
        return sorted(wrong, key=lambda each: FAULTS.index(each.reason) if each.reason in FAULTS else len(FAULTS))

    @property
    def open(self) -> Iterator[str]:
        """Yield what is not known yet."""
        for engine in self.engines:
            said = self.of(engine)
            yield from (f"{engine.tier} {each.address}: {each.message}" for each in said if each.verified is None)
            if engine.engine and len(said) < engine.engine.spec.replicas:
                yield f"{engine.tier}: orchestrators know {len(said)} of {engine.engine.spec.replicas} replicas"


def tool_calling_verified(view: ToolCallingView) -> Verdict | None:
    """Return whether all these engines call tools; nothing is told where none is to."""
    kind = ConditionType.TOOL_CALLING_VERIFIED
    if not view.engines:
        return None
    if view.service.spec.suspend:
        return Verdict(kind, ConditionStatus.FALSE, "Suspended", "nothing runs; set spec.suspend to false to go on")
    if faults := view.faults:
        return Verdict(kind, ConditionStatus.FALSE, faults[0].reason, _told(faults))
    if waits := next((f"{each.name}: {each.finding.message}" for each in view.engines if each.finding), None):
        return Verdict(kind, ConditionStatus.UNKNOWN, _NOT_VERIFIED, f"verified once all serve; {waits}")
    return _serving(view)


def _serving(view: ToolCallingView) -> Verdict:
    """Return what is known of engines that serve; what was said of the same spec counts until more is said."""
    kind, heard, waits = ConditionType.TOOL_CALLING_VERIFIED, view.observed.degraded is not None, "; ".join(view.open)
    if heard and not waits:
        return Verdict(kind, ConditionStatus.TRUE, _VERIFIED, f"{_RIGHT} {_counted(view)}")
    former = former_conditions(view.service.status).get(kind)
    same = former is not None and former.observed_generation == view.service.metadata.generation
    if former and same and former.reason in (_VERIFIED, *FAULTS):
        return Verdict(kind, former.status, former.reason, former.message)
    message = _clean(waits) if heard else "no orchestrator has said yet what came back; asked once a minute"
    return Verdict(kind, ConditionStatus.UNKNOWN, _NOT_VERIFIED, message)


def _told(faults: Iterable[Verification]) -> str:
    """Return what is wrong, each thing once with the replicas that it is wrong with."""
    replicas: dict[tuple[str, str], list[str]] = {}
    for fault in faults:
        replicas.setdefault((fault.engine, fault.message), []).append(fault.address)
    return _clean("; ".join(f"{engine} {', '.join(at)}: {message}" for (engine, message), at in replicas.items()))


def _counted(view: ToolCallingView) -> str:
    counts = ((engine.tier, len(view.of(engine))) for engine in view.engines)
    return ", ".join(f"{count} of {count} replicas of {engine}" for engine, count in counts)


def _clean(text: str) -> str:
    return masked(" ".join(text.split()))[:_LONGEST_MESSAGE]
