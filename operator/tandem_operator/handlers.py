"""What kopf watches: every piece of news goes into the store, and the service that it concerns into the queue."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import kopf

from tandem_operator.kube.comparison import SELECTORS
from tandem_operator.kube.decoding import ShallowResponse
from tandem_operator.kube.store import Store
from tandem_operator.workqueue import WorkQueue

_CHUNK: Final = 500
_BACKOFFS: Final = (1, 2, 5, 5, 5, 5)
"""Seconds between the attempts to reach the API server; afterwards a watch begins anew with a list."""
REGISTRY: Final = kopf.OperatorRegistry()


class _NoEssence(kopf.DiffBaseStorage):
    """Spares a copy of each object: what handlers of changes would compare, of which there are none."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return


class Memo(kopf.Memo):
    """What the handlers share."""

    store: Store
    queue: WorkQueue


@dataclass(frozen=True, kw_only=True)
class _Access(kopf.AiohttpSession):
    """Credentials for sessions that read objects of any depth, one for each time that kopf opens one."""

    credentials: kopf.ConnectionInfo = field(repr=False)
    aiohttp_session: aiohttp.ClientSession = field(init=False, repr=False, compare=False)

    def __getattr__(self, name: str) -> Any:
        """Open a session: one that is kept would be closed when kopf, which closes what it has, opens it again."""
        if name != "aiohttp_session":
            raise AttributeError(name)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self.credentials.as_ssl_context()),
            headers=self.credentials.as_http_headers(),
            proxy=self.credentials.proxy_url,
            trust_env=self.credentials.trust_env,
            response_class=ShallowResponse,
        )


@kopf.on.login(registry=REGISTRY)
def login(**kwargs: Any) -> kopf.AiohttpSession | None:
    """Use the pod's ServiceAccount or, outside a cluster, the kubeconfig that kubectl uses."""
    found = kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
    if found is None:
        return None
    return _Access(
        server=found.server,
        default_namespace=found.default_namespace,
        priority=found.priority,
        credentials=found,
    )


def settings(namespaces: Sequence[str]) -> kopf.OperatorSettings:
    """Watch our own objects only, give up on silent connections, and look for nothing that we may not see."""
    chosen = kopf.OperatorSettings()
    for resource, selector in SELECTORS.items():
        if selector:
            chosen.watching.label_selectors[resource.group, resource.version, resource.plural] = selector
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 5
    chosen.networking.error_backoffs = _BACKOFFS
    chosen.watching.chunk_size = _CHUNK
    chosen.persistence.diffbase_storage = _NoEssence()
    chosen.posting.enabled = False
    chosen.queueing.idle_timeout = 0.1  # how long the end of the process waits for each object's last news
    chosen.process.ultimate_exiting_timeout = None  # it counts from the end of the watches, which may begin again
    chosen.scanning.disabled = not any(map(is_pattern, namespaces))  # which need a watch of namespaces
    return chosen


def is_pattern(namespace: str) -> bool:
    """Return whether this stands for the namespaces that it matches, and not for the one of this name."""
    return bool(set("*?[!,") & set(namespace))


async def notice(event: kopf.RawEvent, memo: Memo, **_: Any) -> None:
    """Take the news in and have the service looked at; a change of one that is at work goes before all others."""
    item: dict[str, Any] = dict(event["object"])
    concerned = memo.store.drop(item) if event["type"] == "DELETED" else memo.store.put(item)
    is_listed = event["type"] is None
    for key in concerned:
        memo.queue.add(key, urgent=not is_listed and _is_at_work(memo.store.service(key)))


def _is_at_work(service: dict[str, Any] | None) -> bool:
    """Return whether a service was looked at before: the API server itself puts a status without conditions there."""
    return service is not None and "conditions" in service.get("status", {})


for _resource in SELECTORS:
    kopf.on.event(
        _resource.group, _resource.version, _resource.plural, registry=REGISTRY, id=f"notice-{_resource.plural}"
    )(notice)
