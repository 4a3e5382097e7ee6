"""Whether what outlives the orchestrator's pods, or is shared between them, can be used: database, files and Redis."""

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

HEARD: Final = ("StoresUsable", "DatabaseUnusable", "FilesUnusable", "VectorStoresUnusable", "RedisUnusable")
"""Reasons that orchestrators give."""
_KINDS: Final = ("Job", "PersistentVolumeClaim")
_LONGEST_MESSAGE: Final = 4096
# How lines of /ready begin; tests hold them to the orchestrator's own.
DATABASE_PROBLEM: Final = "database: "
BUDGETS_PROBLEM: Final = "token budgets: "
REDIS_PROBLEM: Final = "limits across replicas: "
FILES_PROBLEM: Final = "files: "
RETRIEVAL_PROBLEM: Final = "retrieval: "


@dataclass(frozen=True)
class StoresView:
    """A service's stores with what was observed of them."""

    service: LLMService
    observed: Observed

    @property
    def has_database(self) -> bool:
        """Whether a database outlives the pods."""
        return self.service.spec.orchestrator.has_database

    @property
    def has_files(self) -> bool:
        """Whether there are files, and so vector stores."""
        return self.service.spec.orchestrator.files_place is not None

    @property
    def has_redis(self) -> bool:
        """Whether the pods share a Redis."""
        return bool(self.service.spec.orchestrator.config.redis.model_fields_set & {"url", "url_from"})

    @property
    def claims(self) -> Iterator[tuple[str, Object]]:
        """The claims that the operator has made and that are in use, each with what it keeps."""
        settings, made = self.service.spec.orchestrator, self.observed.children
        state = settings.state is not None and settings.state.sqlite is not None
        files = settings.files is not None and settings.files.claim is not None
        named = (("database", state, self.service.orchestrator.name), ("files", files, self.service.files_claim_name))
        for keeps, wanted, name in named:
            if wanted and (claim := made.get(Reference("PersistentVolumeClaim", name))):
                yield keeps, claim

    @property
    def waiting_claim(self) -> tuple[str, Object] | None:
        """The first of them that is not bound."""
        waiting = (each for each in self.claims if each[1].get("status", {}).get("phase") != "Bound")
        return next(waiting, None)

    def lines(self, *beginnings: str) -> Iterator[str]:
        """Yield what orchestrators say is degraded and begins so, each once."""
        said = sorted({line for line in self.observed.degraded or () if line.startswith(beginnings)})
        return (masked(" ".join(line.split())) for line in said)


def usable(view: StoresView) -> str:
    """Return what is told of stores that can be used, with what they are not able to do."""
    limits = sorted({masked(" ".join(line.split())) for line in view.observed.limitations}) if view.has_files else []
    return "; ".join(["orchestrators find nothing amiss with their stores", *limits])[:_LONGEST_MESSAGE]


def waiting_claim(service: LLMService, observed: Observed) -> Object | None:
    """Return the claim that is not bound, about which Kubernetes may have said why."""
    waiting = StoresView(service, observed).waiting_claim
    return waiting[1] if waiting else None


def not_written(view: StoresView) -> Finding | None:
    """Find a claim or a Job that could not be brought to what is wanted."""
    for problem in view.observed.problems:
        if problem.kind in _KINDS and not problem.degrades:
            return Finding(problem.reason, problem.message, problem.terminal)
    return None


def claim_unbound(view: StoresView) -> Finding | None:
    """Find that the claim has no volume, or has lost it."""
    if (waiting := view.waiting_claim) is None:
        return None
    keeps, claim = waiting
    name, event = claim["metadata"]["name"], view.observed.claim_event
    if claim.get("status", {}).get("phase") == "Lost":
        return Finding("ClaimLost", f"PersistentVolumeClaim {name} has lost its volume, and what was on it")
    cause = f": {quoted(event)}" if event else f"; kubectl describe pvc {name} shows what it waits for"
    return Finding("ClaimPending", f"PersistentVolumeClaim {name}, which keeps the {keeps}, is not bound{cause}")


def store_secret_missing(view: StoresView) -> Finding | None:
    """Find that there is no Secret with a store's URL; it is looked for while orchestrators do not serve."""
    settings, there = view.service.spec.orchestrator, view.observed.secrets
    named = secrets(settings.state, settings.files, settings.config.database, settings.config.redis)
    return None if there is None else missing_secret(view.service, named, there)


def not_migrated(view: StoresView) -> Finding | None:
    """Find that the database is not what new orchestrators need."""
    return awaited_migration(view.service, view.observed)


def database_unusable(view: StoresView) -> Finding | None:
    """Find that orchestrators cannot use the database."""
    beginnings = (DATABASE_PROBLEM, BUDGETS_PROBLEM) if view.has_database else ()
    return _unusable("DatabaseUnusable", view, *beginnings)


def files_unusable(view: StoresView) -> Finding | None:
    """Find that orchestrators cannot use the volume or the bucket of files."""
    return _unusable("FilesUnusable", view, *((FILES_PROBLEM,) if view.has_files else ()))


def vector_stores_unusable(view: StoresView) -> Finding | None:
    """Find that vector stores cannot be searched, such as those that another embedding model has made."""
    said = "; ".join(view.lines(RETRIEVAL_PROBLEM)) if view.has_files else ""
    return Finding("VectorStoresUnusable", said[:_LONGEST_MESSAGE]) if said else None


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
    files_unusable,
    vector_stores_unusable,
    redis_unusable,
)
"""Why a store cannot be used."""
