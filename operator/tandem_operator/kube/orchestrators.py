"""What orchestrators say about themselves, asked at the port for metrics whether they are ready.

Only this is read from pods and not from the API server, and only of pods that a service's own Deployment has made: who
may create pods must not choose where the operator sends requests. Nothing secret is sent, so that the certificate of
one that serves HTTPS, which is for its users' names and not for a pod's address, need not be looked at.
"""

import asyncio
import ipaddress
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Final

import aiohttp
from tandem_contract import names
from tandem_contract.progress import Progress
from yarl import URL

from tandem_operator.api import outcomes
from tandem_operator.api.address import address_in
from tandem_operator.api.component import CANDIDATE, Reference, Tier
from tandem_operator.api.said import AtWork, Said
from tandem_operator.api.text import printable
from tandem_operator.api.tool_calling import QUERY, verifications
from tandem_operator.kube import metrics
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.resources import REPLICA_SET, Object, controlled_by, controller
from tandem_operator.kube.store import Key, Store

logger = logging.getLogger(__name__)

_PATH: Final = "/ready"
_PODS: Final = 4
"""How many pods of a service are asked, the newest: what is wrong with a setting is wrong in each of them."""
_AT_ONCE: Final = 32
_TIMEOUT: Final = aiohttp.ClientTimeout(total=3)
_LONGEST_ANSWER: Final = 65_536
_LONGEST_LINE: Final = 1_024
_MOST_LINES: Final = 256
_MOST_TOKENS: Final = 2**53
_LONGEST_STALL: Final = 864_000
"""Seconds; more is nothing that was measured."""
_PROGRESSES: Final = frozenset(Progress)
_ROLLED_OUT: Final = (str(Tier.ENGINE), CANDIDATE)


class Directory:
    """Where the orchestrators of every service are asked."""

    def __init__(self, api: Api, store: Store) -> None:
        self._api = api
        self._store = store
        self._makers: dict[str, str] = {}
        """Deployments by the ReplicaSets that they have made, both by uid."""

    async def urls(self, keys: Iterable[Key]) -> dict[Key, list[URL]]:
        """Return the URLs of each of these services that has pods to ask.

        There are none where it cannot be told whose they are.
        """
        ready = {key: found for key in keys if (found := _newest(self._store.pods(key)))}
        gate = asyncio.Semaphore(_AT_ONCE)
        urls = await asyncio.gather(*(self._of(gate, key, pods) for key, pods in ready.items()))
        known = (pod for key in self._store.services() for pod in self._store.pods(key))
        made = {owner["uid"] for pod in known if (owner := controller(pod))}
        self._makers = {uid: maker for uid, maker in self._makers.items() if uid in made}
        return dict(zip(ready, urls, strict=True))

    async def made(self, key: Key, pod: Object) -> bool:
        """Return whether a pod was made by the service's own Deployment for the tier that its label names.

        ApiError: it cannot be told.
        """
        deployment = self._deployment(key, pod["metadata"]["labels"].get(names.LABEL_TIER, ""))
        return deployment is not None and await self._made_by(deployment, pod)

    def _deployment(self, key: Key, tier: str) -> Object | None:
        service = self._store.service(key)
        deployment = self._store.children(key).get(Reference("Deployment", f"{key.name}-{tier}"))
        ours = service and deployment and controlled_by(deployment, service["metadata"]["uid"])
        return deployment if ours else None

    async def _of(self, gate: asyncio.Semaphore, key: Key, pods: Sequence[Object]) -> list[URL]:
        deployment = self._deployment(key, Tier.ORCHESTRATOR)
        if deployment is None:
            return []
        try:
            async with gate:
                ours = [pod for pod in pods if await self._made_by(deployment, pod)]
        except ApiError as error:
            logger.warning("%s/%s: it cannot be told whose its pods are: %s", *key, error)
            return []
        return [url for pod in ours if (url := _url(deployment, pod))]

    async def _made_by(self, deployment: Object, pod: Object) -> bool:
        """Return whether a Deployment has made a pod, by the ReplicaSet between them; asked once for each of these."""
        owner = controller(pod)
        if owner is None or owner["kind"] != REPLICA_SET.kind:
            return False
        if owner["uid"] not in self._makers:
            found = await self._api.get(REPLICA_SET, pod["metadata"]["namespace"], owner["name"])
            if found is None or found["metadata"]["uid"] != owner["uid"] or not (maker := controller(found)):
                return False
            self._makers[owner["uid"]] = maker["uid"]
        return self._makers[owner["uid"]] == str(deployment["metadata"]["uid"])


def verifying(urls: Mapping[Key, Sequence[URL]], engines: Mapping[Key, Sequence[str]]) -> dict[Key, list[URL]]:
    """Return the same URLs, each service's last with the names of its engines that are to be verified.

    Requests to engines cost time, so one pod makes them: of those that are asked the oldest, as pods come and go.
    """
    return {
        key: [*found[:-1], *(_verifying(url, engines.get(key, ())) for url in found[-1:])]
        for key, found in urls.items()
    }


def _verifying(url: URL, engines: Sequence[str]) -> URL:
    return url.with_query([(QUERY, engine) for engine in engines])


async def ask(urls: Mapping[Key, Sequence[URL]]) -> dict[Key, Said]:
    """Return what each service's pods say of themselves; a service of which no pod answers is left out.

    A metric tells how many those are.
    """
    said = await ask_again(urls)
    metrics.UNHEARD.set(len(urls) - len(said))
    return said


async def ask_again(urls: Mapping[Key, Sequence[URL]]) -> dict[Key, Said]:
    """Do the same of some services only, which the metric does not take for all."""
    gate = asyncio.Semaphore(_AT_ONCE)
    async with aiohttp.ClientSession(
        timeout=_TIMEOUT,
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,  # a short answer may be a long one, compressed
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        answers = await asyncio.gather(
            *(_answer(session, gate, key, url) for key, found in urls.items() for url in found)
        )
    said: dict[Key, Said] = {}
    for key, answer in answers:
        if answer is not None:
            said[key] = said.get(key, Said()) + answer
    return said


async def _answer(
    session: aiohttp.ClientSession, gate: asyncio.Semaphore, key: Key, url: URL
) -> tuple[Key, Said | None]:
    try:
        async with gate, session.get(url, ssl=False, allow_redirects=False) as response:
            return key, _said(url, response.status, await _read(response.content))
    except Exception as error:  # noqa: BLE001 # whatever a pod does, the others must be asked
        logger.info("%s/%s: %s does not say how it is: %s: %s", *key, url, type(error).__name__, error)
        return key, None


def _said(url: URL, status: int, content: bytes) -> Said:
    if status != HTTPStatus.OK:
        raise ValueError(f"it answered {status}")
    answer = json.loads(content)
    # an orchestrator of an older release tells of no limitations, nothing that it verified, and not how engines get
    # on and how their requests end
    return Said(
        _lines("degraded", answer["degraded"]),
        _lines("limitations", answer.get("limitations", [])),
        verifications(answer.get(QUERY, [])),
        _kv_tokens(answer.get("kv_tokens", {})),
        tuple(_at_work(answer.get("at_work", []))),
        tuple(outcomes.outcomes(answer.get(outcomes.QUERY, []), url.host or "", _ROLLED_OUT)),
    )


def _lines(name: str, lines: object) -> tuple[str, ...]:
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise TypeError(f"{name} is no list of texts")
    return tuple(printable(line)[:_LONGEST_LINE] for line in lines[:_MOST_LINES])


def _kv_tokens(told: object) -> tuple[tuple[str, int], ...]:
    if not isinstance(told, dict):
        raise TypeError("kv_tokens is no object")
    figures = [*told.items()][:_MOST_LINES]
    return tuple((name, count) for name, count in figures if type(count) is int and 0 < count < _MOST_TOKENS)


def _at_work(replicas: object) -> Iterator[AtWork]:
    """Yield what can be used of what is said of engines."""
    if not isinstance(replicas, list):
        raise TypeError("at_work is no list")
    for each in replicas[:_MOST_LINES]:
        match each:
            case {"address": str(address), "progress": str(progress), "seconds": int(seconds)}:
                if progress in _PROGRESSES and 0 <= seconds <= _LONGEST_STALL and (found := address_in(address)):
                    yield AtWork(found, Progress(progress), seconds)


async def _read(content: aiohttp.StreamReader) -> bytes:
    try:
        await content.readexactly(_LONGEST_ANSWER)
    except asyncio.IncompleteReadError as error:
        return error.partial
    raise ValueError("the answer is too long")


def _newest(pods: Iterable[Object]) -> list[Object]:
    """Return the newest orchestrator pods that are ready."""
    ready = [pod for pod in pods if _is_ready(pod)]
    ready.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]), reverse=True)
    return ready[:_PODS]


def _is_ready(pod: Object) -> bool:
    metadata, conditions = pod["metadata"], pod.get("status", {}).get("conditions") or []
    return (
        metadata.get("labels", {}).get(names.LABEL_TIER) == Tier.ORCHESTRATOR
        and "deletionTimestamp" not in metadata
        and any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
    )


def _url(deployment: Object, pod: Object) -> URL | None:
    """Return where a pod is asked, None if nowhere: only its address is of its own word, and no part of a URL."""
    address = pod["status"].get("podIP", "")
    containers = deployment["spec"]["template"]["spec"]["containers"]
    ours: Object = next((each for each in containers if each["name"] == Tier.ORCHESTRATOR), {})
    ports = {port.get("name"): port["containerPort"] for port in ours.get("ports") or ()}
    if names.METRICS_PORT_NAME not in ports or not may_be_a_pod(address):
        return None
    scheme = ours.get("readinessProbe", {}).get("httpGet", {}).get("scheme", "HTTP").lower()
    return URL.build(scheme=scheme, host=address, port=ports[names.METRICS_PORT_NAME], path=_PATH)


def may_be_a_pod(address: str) -> bool:
    """Return whether this is an IP address that a pod may have: no own one of the operator, no metadata service."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None) or found
    return not (mapped.is_loopback or mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified)
