"""Why an engine waits for its model: the Job that fetches it is at work, or in trouble."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tandem_operator.api.component import FETCH, EngineComponent
from tandem_operator.api.fetch_progress import FetchProgress
from tandem_operator.status.awaited_job import AwaitedJob
from tandem_operator.status.finding import Finding, Policy, first_finding
from tandem_operator.status.masking import quoted
from tandem_operator.status.missing import missing_credentials
from tandem_operator.status.observed import Observed
from tandem_operator.status.pods import diagnose

_LASTING: Final = 3
"""Exit code of a fetch that will not get better by itself."""
_GIB: Final = 2**30


@dataclass(frozen=True)
class FetchView(AwaitedJob):
    """The Job that fetches a model."""

    component: EngineComponent
    does = FETCH

    @property
    def engine(self) -> EngineComponent:
        """The engine that waits for the model."""
        return self.component

    @property
    def ending(self) -> Mapping[str, Any]:
        """What it said last: `reason` and `message`."""
        text = self.end.get("message") or ""
        try:
            said = json.loads(text)
        except ValueError:
            return {"message": text}
        return said if isinstance(said, dict) else {}

    @property
    def progress(self) -> FetchProgress | None:
        """What its newest pod says of how far it is."""
        told = self.observed.progress
        return next((told[uid] for pod in reversed(self.pods) if (uid := pod.pod["metadata"]["uid"]) in told), None)


def awaited_fetch(component: EngineComponent, observed: Observed) -> Finding | None:
    """Return why an engine waits for its model; None when it does not."""
    if (job := observed.fetches.get(component.tier)) is None:
        return None
    return first_finding(AWAITED, FetchView(observed, job, component))


def credentials_missing(view: FetchView) -> Finding | None:
    """Find that there is no Secret that opens the model, without which no Job is made."""
    if view.job or view.observed.credentials is None:
        return None
    return missing_credentials(view.component, view.observed.credentials)


def failed(view: FetchView) -> Finding | None:
    """Find that the Job gave up, with its last words."""
    if not view.failed:
        return None
    cause = quoted(str(view.ending.get("message") or "it ended without a word"))
    message = (
        f"Job {view.awaited.name} could not fetch {view.component.model.source}: {cause}; what is there is kept, and "
        "it is tried again after a pause, or once the Secret or the spec changes"
    )
    return Finding("FetchFailed", message, terminal=view.end.get("exitCode") == _LASTING, about_model=True)


def held_up(view: FetchView) -> Finding | None:
    """Find what keeps the Job's newest pod from running; one that ended is replaced."""
    waiting = [pod for pod in view.pods if not pod.is_over]
    return diagnose(waiting[-1]) if waiting else None


def fetching(view: FetchView) -> Finding:
    """Find that the Job is at work, with its percentage and bytes."""
    source, progress = view.component.model.source, view.progress
    if progress is None:
        again = f"; its last attempt: {quoted(str(view.ending.get('message')))}" if view.ending.get("message") else ""
        return Finding("Fetching", f"Job {view.awaited.name} fetches {source}{again}", about_model=True)
    told = f"; {quoted(progress.message)}" if progress.message else ""
    message = f"{source}: {progress.state}{_amounts(progress)}{told}"
    return Finding("Fetching", message, about_model=True)


def _amounts(progress: FetchProgress) -> str:
    """Return how much is there of how much; nothing before that is known."""
    if not progress.total:
        return ""
    share, rate = 100 * progress.done // progress.total, progress.rate / 2**20
    return f", {share} %, {progress.done / _GIB:.2f} of {progress.total / _GIB:.2f} GiB, {rate:.1f} MiB/s"


AWAITED: Final[tuple[Policy[FetchView], ...]] = (credentials_missing, failed, held_up, fetching)
"""Why an engine waits for its model."""
