"""Whether what outlives the orchestrator's pods, or is shared between them, can be used: database and Redis."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tandem_operator.api.component import Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.settings import secrets
from tandem_operator.status.finding import Finding, Policy, first_finding
from tandem_operator.status.masking import masked, quoted
from tandem_operator.status.migration import awaited_migration
from tandem_operator.status.missing import missing_secret
from tandem_operator.status.observed import Object, Observed

HEARD: Final = ("StoresUsable", "DatabaseUnusable", "RedisUnusable")
"""Reasons that orchestrators give."""
_KINDS: Final = ("Job", "PersistentVolumeClaim")
_LONGEST_MESSAGE: Final = 4096
# How lines of /ready begin; tests hold them to the orchestrator's own.
DATABASE_PROBLEM: Final = "database: "
BUDGETS_PROBLEM: Final = "token budgets: "
REDIS_PROBLEM: Final = "limits across replicas: "


@dataclass(frozen=True)
class StoresView:
    """A service's stores with what was observed of them."""

    service: LLMService
    observed: Observed

    @property
    def has_database(self) -> bool:
        """Whether a database outlives the pods."""
        settings = self.service.spec.orchestrator
        return settings.state is not None or bool(settings.config.database.model_fields_set & {"url", "url_from"})

    @property
    def has_redis(self) -> bool:
        """Whether the pods share a Redis."""
        return bool(self.service.spec.orchestrator.config.redis.model_fields_set & {"url", "url_from"})

    @property
    def claim(self) -> Object | None:
        """The claim of its volume; None before it is made."""
        return self.observed.children.get(Reference("PersistentVolumeClaim", self.service.orchestrator.name))

    def lines(self, *beginnings: str) -> Iterator[str]:
        """Yield what orchestrators say is degraded and begins so, each once."""
        said = sorted({line for line in self.observed.degraded or () if line.startswith(beginnings)})
        return (masked(" ".join(line.split())) for line in said)


def waiting_claim(service: LLMService, observed: Observed) -> Object | None:
    """Return the claim that is not bound, about which Kubernetes may have said why."""
    state, claim = service.spec.orchestrator.state, StoresView(service, observed).claim
    return claim if claim and state and state.sqlite and claim.get("status", {}).get("phase") != "Bound" else None


def not_written(view: StoresView) -> Finding | None:
    """Find a claim or a Job that could not be brought to what is wanted."""
    for problem in view.observed.problems:
        if problem.kind in _KINDS and not problem.degrades:
            return Finding(problem.reason, problem.message, problem.terminal)
    return None


def claim_unbound(view: StoresView) -> Finding | None:
    """Find that the claim has no volume, or has lost it."""
    claim = waiting_claim(view.service, view.observed)
    if claim is None:
        return None
    name, event = claim["metadata"]["name"], view.observed.claim_event
    if claim.get("status", {}).get("phase") == "Lost":
        return Finding("ClaimLost", f"PersistentVolumeClaim {name} has lost its volume, and what was on it")
    cause = f": {quoted(event)}" if event else f"; kubectl describe pvc {name} shows what it waits for"
    return Finding("ClaimPending", f"PersistentVolumeClaim {name}, which keeps the database, is not bound{cause}")


def store_secret_missing(view: StoresView) -> Finding | None:
    """Find that there is no Secret with a store's URL; it is looked for while orchestrators do not serve."""
    settings, there = view.service.spec.orchestrator, view.observed.secrets
    named = secrets(settings.state, settings.config.database, settings.config.redis)
    return None if there is None else missing_secret(view.service, named, there)


def not_migrated(view: StoresView) -> Finding | None:
    """Find that the database is not what new orchestrators need."""
    return awaited_migration(view.service, view.observed)


def database_unusable(view: StoresView) -> Finding | None:
    """Find that orchestrators cannot use the database."""
    beginnings = (DATABASE_PROBLEM, BUDGETS_PROBLEM) if view.has_database else ()
    return _unusable("DatabaseUnusable", view, *beginnings)


def redis_unusable(view: StoresView) -> Finding | None:
    """Find that orchestrators cannot use Redis."""
    beginnings = (REDIS_PROBLEM, *(() if view.has_database else (BUDGETS_PROBLEM,))) if view.has_redis else ()
    return _unusable("RedisUnusable", view, *beginnings)


def _unusable(reason: str, view: StoresView, *beginnings: str) -> Finding | None:
    said = "; ".join(view.lines(*beginnings))
    message = f"orchestrators cannot use it and go on without: {said}"
    return Finding(reason, message[:_LONGEST_MESSAGE]) if said else None


def stores_finding(view: StoresView) -> Finding | None:
    """Return why a store cannot be used; None where no reason is known."""
    return first_finding(STORES, view)


STORES: Final[tuple[Policy[StoresView], ...]] = (
    not_written,
    claim_unbound,
    store_secret_missing,
    not_migrated,
    database_unusable,
    redis_unusable,
)
"""Why a store cannot be used."""
