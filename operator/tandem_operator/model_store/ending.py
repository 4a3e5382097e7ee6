"""How a fetch ended, for whoever reads its termination message."""

import json
from pathlib import Path
from typing import Any, Final

from tandem_operator.api.text import shortened
from tandem_operator.model_store.errors import FetchError
from tandem_operator.model_store.manifest import Manifest
from tandem_operator.model_store.progress import State

_LONGEST: Final = 512
"""Characters of a message: Kubernetes keeps 4,096 bytes of all, and a character takes six bytes at most."""


def of(outcome: Manifest | FetchError, fetched: int, seconds: float) -> dict[str, Any]:
    """Return what is said of a model that is complete, or of why it is not."""
    cost = {"fetched": fetched, "seconds": round(seconds, 1)}
    if isinstance(outcome, FetchError):
        message = shortened(str(outcome), _LONGEST)
        return {"state": State.FAILED, "reason": outcome.reason, "message": message, **cost}
    message = f"{outcome.source} is complete"
    whole = {"commit": outcome.commit, "bytes": outcome.size, "files": len(outcome.files)}
    reason = "Fetched" if fetched else "Present"
    return {"state": State.COMPLETE, "reason": reason, "message": message, **whole, **cost}


def write(path: Path, ending: dict[str, Any]) -> None:
    """Write the termination message, where Kubernetes has made a file for it."""
    if path.exists():
        path.write_text(json.dumps(ending, ensure_ascii=False), encoding="utf-8")
