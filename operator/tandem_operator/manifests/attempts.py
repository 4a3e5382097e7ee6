"""Jobs that are made anew after they failed, with longer and longer pauses in between."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from tandem_operator.api.component import ATTEMPT
from tandem_operator.manifests.component import Manifest, checksum

_LONGEST_PREFIX: Final = 45
"""A Job's name is a label of its pods, of 63 characters at most."""
_MARK: Final = 8
_SECRET: Final = "tandem.dev/secret-version"  # noqa: S105 # an annotation of a Job
_PAUSES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 4, 8, 16, 30))


def job_name(whose: str, does: str, inputs: Any) -> str:
    """Return the name of a Job after all that it depends on, which is JSON: with another of these it is another Job."""
    return f"{whose[:_LONGEST_PREFIX]}-{does}-{checksum(json.dumps(inputs, sort_keys=True))[:_MARK]}"


def next_attempt(job: Manifest, live: Mapping[str, Any] | None, secret: str, now: datetime) -> Manifest | None:
    """Return the Job to make in the place of `live`; None while that one works, rests after it failed, or succeeded.

    `secret` is the version of the Secret that it uses: with another, as at first, there is nothing to wait for.
    """
    if live is None:
        return annotated(job, {ATTEMPT: "0", _SECRET: secret})
    if (failed := ended(live, "Failed")) is None:
        return None
    if annotations(live).get(_SECRET) != secret:
        return annotated(job, {ATTEMPT: "0", _SECRET: secret})
    written = annotations(live).get(ATTEMPT, "")
    attempt = int(written) if written.isdecimal() else 0
    if now - failed < _PAUSES[min(attempt, len(_PAUSES) - 1)]:
        return None
    return annotated(job, {ATTEMPT: str(attempt + 1), _SECRET: secret})


def ended(job: Mapping[str, Any], how: str) -> datetime | None:
    """Return when a Job came to this end, `Complete` or `Failed`; None if it did not."""
    conditions = job.get("status", {}).get("conditions") or []
    times = [item["lastTransitionTime"] for item in conditions if (item["type"], item["status"]) == (how, "True")]
    return datetime.fromisoformat(times[0]) if times else None


def last_words(job: Mapping[str, Any]) -> str:
    """Return why Kubernetes gave a Job up; empty if it did not."""
    conditions = job.get("status", {}).get("conditions") or []
    told = (item for item in conditions if (item["type"], item["status"]) == ("Failed", "True"))
    return next((str(item.get("message", "")) for item in told), "")


def annotated(manifest: Manifest, annotations: dict[str, str]) -> Manifest:
    """Return an object with these annotations and no others."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "annotations"}
    return {**manifest, "metadata": {**metadata, "annotations": annotations} if annotations else metadata}


def annotations(item: Mapping[str, Any]) -> Mapping[str, str]:
    """Return an object's annotations."""
    found: Mapping[str, str] = item["metadata"].get("annotations") or {}
    return found
