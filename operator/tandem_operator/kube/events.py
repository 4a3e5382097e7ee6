"""Kubernetes Events, which `kubectl describe` shows."""

import secrets
from datetime import UTC, datetime
from typing import Final

from tandem_operator.kube.api import Api
from tandem_operator.kube.resources import Object

_LONGEST_REASON: Final = 128
_LONGEST_MESSAGE: Final = 1024
"""Bytes, not characters."""


async def post(api: Api, about: Object, reason: str, message: str, *, warning: bool) -> None:
    """Post an Event about an object."""
    metadata = about["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    involved = {
        "apiVersion": about["apiVersion"],
        "kind": about["kind"],
        **{name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")},
    }
    await api.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{secrets.token_hex(8)}", "namespace": metadata["namespace"]},
            "involvedObject": involved,
            "reason": reason[:_LONGEST_REASON],
            "message": message.encode()[:_LONGEST_MESSAGE].decode(errors="ignore"),
            "type": "Warning" if warning else "Normal",
            "source": {"component": "tandem-operator"},
            "reportingComponent": "tandem-operator",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
    )
