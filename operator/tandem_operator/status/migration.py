"""Why the orchestrator's roll-out is held back: its database is not migrated."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from tandem_operator.api.component import ATTEMPT, MIGRATION
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.status import ConditionType
from tandem_operator.status.awaited_job import AwaitedJob
from tandem_operator.status.finding import Finding, Policy, first_finding
from tandem_operator.status.masking import quoted
from tandem_operator.status.missing import missing_secret
from tandem_operator.status.observed import Observed
from tandem_operator.status.pods import diagnose, last_line, moment
from tandem_operator.status.stored import former_conditions

SECRET_GRACE: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class MigrationView(AwaitedJob):
    """The Job that migrates a database."""

    service: LLMService
    does = MIGRATION


def awaited_migration(service: LLMService, observed: Observed) -> Finding | None:
    """Return why the roll-out is held back; None when it is not."""
    if observed.migration is None:
        return None
    return first_finding(AWAITED, MigrationView(observed, observed.migration, service))


def url_missing(view: MigrationView) -> Finding | None:
    """Find that there is no Secret with the database's URL, without which no Job is made.

    One that comes with its database, as CloudNativePG's does, may take a while.
    """
    there = view.observed.secrets
    if view.job or there is None or not (found := missing_secret(view.service, view.service.state_secrets, there)):
        return None
    former = former_conditions(view.service.status).get(ConditionType.STORES_READY)
    waits = former is not None and former.reason == found.reason
    since = moment(former.last_transition_time) if former and waits else view.observed.now
    return replace(found, terminal=view.observed.now - since > SECRET_GRACE)


def failed(view: MigrationView) -> Finding | None:
    """Find that the Job gave up, with the last words of its last pod; a second one is not made for what passes."""
    if not view.failed:
        return None
    attempt = ((view.job or {}).get("metadata", {}).get("annotations") or {}).get(ATTEMPT, "0")
    message = (
        f"Job {view.awaited.name} could not migrate the database: {_cause(view)}; pods go on as they are, and it is "
        "tried again after a pause, or once the Secret or the spec changes"
    )
    return Finding("MigrationFailed", message, terminal=attempt != "0")


def _cause(view: MigrationView) -> str:
    if not view.end:
        return quoted(view.failed.get("message") or "it failed")
    said, reason = view.end.get("message"), view.end.get("reason", "Error")
    return last_line(said) if said else quoted(f"{reason}, exit code {view.end.get('exitCode', 'unknown')}")


def held_up(view: MigrationView) -> Finding | None:
    """Find what keeps the Job's newest pod from running; one that ended is replaced."""
    waiting = [pod for pod in view.pods if not pod.is_over]
    return diagnose(waiting[-1]) if waiting else None


def migrating(view: MigrationView) -> Finding:
    """Find that the Job is at work."""
    message = f"Job {view.awaited.name} migrates the database; new orchestrator pods start once it has succeeded"
    return Finding("Migrating", message)


AWAITED: Final[tuple[Policy[MigrationView], ...]] = (url_missing, failed, held_up, migrating)
"""Why the roll-out is held back."""
