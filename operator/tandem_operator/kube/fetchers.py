"""How far the pods are that fetch models, asked at their port.

Asked are those alone that a Job of the service's own has made: who may create pods must not choose where the operator
sends requests.
"""

import asyncio
import json
import logging
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from tandem_contract import names
from yarl import URL

from tandem_operator.api.component import FETCH
from tandem_operator.api.fetch_progress import PORT, FetchProgress
from tandem_operator.api.text import printable
from tandem_operator.kube.orchestrators import may_be_a_pod
from tandem_operator.kube.resources import JOB, Object, controlled_by, controller
from tandem_operator.kube.store import Key, Store

logger = logging.getLogger(__name__)

_TIMEOUT: Final = aiohttp.ClientTimeout(total=3)
_LONGEST_ANSWER: Final = 4096
_LONGEST_TEXT: Final = 512
_MOST: Final = 2**53
_AT_ONCE: Final = 32


def fetchers(store: Store) -> dict[Key, list[Object]]:
    """Return the pods that fetch models now, by service."""
    found = {key: [pod for pod in store.pods(key) if _fetches(store, key, pod)] for key in store.services()}
    return {key: pods for key, pods in found.items() if pods}


async def ask(pods: list[Object]) -> dict[str, FetchProgress]:
    """Return what pods say of their progress, by uid; one that does not answer is left out."""
    gate = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as client:
        answers = await asyncio.gather(*(_answer(client, gate, pod) for pod in pods))
    return {pod["metadata"]["uid"]: answer for pod, answer in zip(pods, answers, strict=True) if answer}


async def _answer(client: aiohttp.ClientSession, gate: asyncio.Semaphore, pod: Object) -> FetchProgress | None:
    url = URL.build(scheme="http", host=pod["status"]["podIP"], port=PORT, path="/progress")
    try:
        async with gate, client.get(url, allow_redirects=False) as response:
            content = await response.content.read(_LONGEST_ANSWER)
            return read(json.loads(content)) if response.status == HTTPStatus.OK else None
    except Exception as error:  # noqa: BLE001 # whatever a pod does, the others must be asked
        logger.info("%s does not say how far it is: %s: %s", url, type(error).__name__, error)
        return None


def read(answer: Any) -> FetchProgress:
    """Return an answer as progress; KeyError, TypeError or ValueError for any other document."""
    done, total, rate = (answer[name] for name in ("done", "total", "rate"))
    if not all(type(amount) is int and 0 <= amount < _MOST for amount in (done, total, rate)):
        raise ValueError("amounts are whole numbers of bytes")
    state, message = (printable(str(answer[name]))[:_LONGEST_TEXT] for name in ("state", "message"))
    return FetchProgress(state, done, total, rate, message)


def _fetches(store: Store, key: Key, pod: Object) -> bool:
    metadata, status = pod["metadata"], pod.get("status") or {}
    service, owner = store.service(key), controller(pod)
    jobs = {item["metadata"]["uid"]: item for found, item in store.children(key).items() if found.kind == JOB.kind}
    return (
        (metadata.get("labels") or {}).get(names.LABEL_TIER) == FETCH
        and status.get("phase") == "Running"
        and service is not None
        and owner is not None
        and owner["uid"] in jobs
        and controlled_by(jobs[owner["uid"]], service["metadata"]["uid"])
        and may_be_a_pod(status.get("podIP", ""))
    )
