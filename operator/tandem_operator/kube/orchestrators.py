"""What orchestrators say about themselves, asked at the port for metrics whether they are ready.

Only this is read from pods and not from the API server. Nothing secret is sent, so that the certificate of one that
serves HTTPS, which is for its users' names and not for a pod's address, need not be looked at.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import aiohttp
from tandem_contract import names

from tandem_operator.kube import metrics
from tandem_operator.kube.resources import Object
from tandem_operator.kube.store import Key

logger = logging.getLogger(__name__)

_TIER: Final = "orchestrator"
_PODS: Final = 4
"""How many pods of a service are asked, the newest: what is wrong with a setting is wrong in each of them."""
_AT_ONCE: Final = 32
_TIMEOUT: Final = aiohttp.ClientTimeout(total=3)
_LONGEST_ANSWER: Final = 65_536


async def ask(pods: Mapping[Key, Sequence[Object]]) -> dict[Key, list[str]]:
    """Return what is degraded by the word of each service's pods; a service of which no pod answers is left out."""
    places = {key: found for key, of_service in pods.items() if (found := _places(of_service))}
    gate = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        answers = await asyncio.gather(
            *(_answer(session, gate, key, place) for key, found in places.items() for place in found)
        )
    said: dict[Key, list[str]] = {}
    for key, lines in answers:
        if lines is not None:
            said.setdefault(key, []).extend(lines)
    metrics.UNHEARD.set(len(places) - len(said))
    return said


async def _answer(
    session: aiohttp.ClientSession, gate: asyncio.Semaphore, key: Key, place: str
) -> tuple[Key, list[str] | None]:
    try:
        async with gate, session.get(place, ssl=False, allow_redirects=False) as response:
            return key, _lines(response.status, await _read(response.content))
    except Exception as error:  # noqa: BLE001 # whatever a pod does, the others must be asked
        logger.info("%s/%s: %s does not say how it is: %s: %s", *key, place, type(error).__name__, error)
        return key, None


def _lines(status: int, content: bytes) -> list[str]:
    if status != HTTPStatus.OK:
        raise ValueError(f"it answered {status}")
    return [str(line) for line in json.loads(content)["degraded"]]


async def _read(content: aiohttp.StreamReader) -> bytes:
    try:
        await content.readexactly(_LONGEST_ANSWER)
    except asyncio.IncompleteReadError as error:
        return error.partial
    raise ValueError("the answer is too long")


def _places(pods: Sequence[Object]) -> list[str]:
    """Return where the newest orchestrator pods that are ready are asked for it."""
    ready = [pod for pod in pods if _is_ready(pod)]
    ready.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]), reverse=True)
    return [place for pod in ready[:_PODS] if (place := _place(pod))]


def _is_ready(pod: Object) -> bool:
    metadata, conditions = pod["metadata"], pod.get("status", {}).get("conditions") or []
    return (
        metadata.get("labels", {}).get(names.LABEL_TIER) == _TIER
        and "deletionTimestamp" not in metadata
        and any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    )


def _place(pod: Object) -> str | None:
    """Return the URL of the readiness probe, at the port for metrics; None for a pod without probe or address."""
    address = pod["status"].get("podIP")
    for container in pod["spec"]["containers"]:
        probe = container.get("readinessProbe", {}).get("httpGet")
        if container["name"] == _TIER and probe and address:
            ports = {port.get("name"): port["containerPort"] for port in container.get("ports") or []}
            scheme = probe.get("scheme", "HTTP").lower()
            port = ports.get(names.METRICS_PORT_NAME) or ports.get(probe["port"], probe["port"])  # a former pod's
            host = f"[{address}]" if ":" in address else address
            return f"{scheme}://{host}:{port}{probe['path']}"
    return None
