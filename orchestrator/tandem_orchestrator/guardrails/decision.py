"""What guardrails decided about one request: for its client, the metrics and the log, never with the text."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import structlog
from tandem_contract.config import GuardedText

from tandem_orchestrator.guardrails.finding import Finding
from tandem_orchestrator.guardrails.rail import Rail
from tandem_orchestrator.observability.metrics import GUARDRAIL_DECISIONS
from tandem_orchestrator.observability.prometheus import Labelled
from tandem_orchestrator.observability.record import Record

ERROR_BLOCKED: Final = "error_blocked"
ERROR_IGNORED: Final = "error_ignored"
"""What became of a text that nobody could judge, or look into."""

_decided = Labelled(GUARDRAIL_DECISIONS)
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Decision:
    """One rail's about the texts of one way."""

    name: str
    on: GuardedText
    action: str
    """block, mask, flag, `ERROR_BLOCKED` or `ERROR_IGNORED`."""
    kinds: tuple[str, ...]

    @property
    def shown(self) -> dict[str, Any]:
        """It as clients read it."""
        return {"name": self.name, "on": self.on.value, "action": self.action, "kinds": [*self.kinds]}


class Decisions:
    """All of a request. What a rail finds again is no news: it is counted and logged once."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._kinds: dict[tuple[str, GuardedText, str], dict[str, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._kinds)

    @property
    def shown(self) -> list[dict[str, Any]]:
        """They as clients read them."""
        return [Decision(*key, tuple(kinds)).shown for key, kinds in self._kinds.items()]

    def add(self, rail: Rail, on: GuardedText, kinds: Iterable[str], action: str | None = None) -> None:
        """Note a decision; `action` where it is not the rail's."""
        taken = action or rail.action.value
        known = self._kinds.setdefault((rail.name, on, taken), {})
        new = [kind for kind in dict.fromkeys(kinds) if kind not in known]
        if not new:
            return
        known.update(dict.fromkeys(new))
        for kind in new:
            _decided[rail.name, on.value, taken, kind].inc()
        record = self._record
        log.info(
            "guardrail",
            guardrail=rail.name,
            on=on.value,
            action=taken,
            kinds=new,
            tenant=record.tenant,
            model=record.model,
            request_id=record.request_id,
        )

    def add_all(self, on: GuardedText, findings: Iterable[Finding]) -> None:
        """Note what rails said of a text."""
        for finding in findings:
            action = (ERROR_BLOCKED if finding.blocks else ERROR_IGNORED) if finding.failed else None
            self.add(finding.rail, on, finding.kinds, action)
