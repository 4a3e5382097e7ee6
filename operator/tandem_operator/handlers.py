"""What kopf watches: every piece of news goes into the store, and the service that it concerns into the queue."""

from collections.abc import Sequence
from typing import Any, Final

import kopf
from tandem_contract import names

from tandem_operator.kube.resources import CHILDREN, LLM_SERVICE, POD
from tandem_operator.kube.store import Store
from tandem_operator.workqueue import WorkQueue

REGISTRY: Final = kopf.OperatorRegistry()


class Memo(kopf.Memo):
    """What the handlers share."""

    store: Store
    queue: WorkQueue


@kopf.on.login(registry=REGISTRY)
def login(**kwargs: Any) -> Any:
    """Use the pod's ServiceAccount or, outside a cluster, the kubeconfig that kubectl uses."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)


def settings(namespaces: Sequence[str]) -> kopf.OperatorSettings:
    """Watch our own objects only, give up on silent connections, and look for nothing that we may not see."""
    chosen = kopf.OperatorSettings()
    for resource in (*CHILDREN, POD):
        chosen.watching.label_selectors[resource.group, resource.version, resource.plural] = names.LABEL_SERVICE
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 5
    chosen.posting.enabled = False
    chosen.queueing.idle_timeout = 1  # how long the end of the process waits for each object's last news
    patterns = any(set("*?[!,") & set(namespace) for namespace in namespaces)
    chosen.scanning.disabled = bool(namespaces) and not patterns  # Roles cannot list CRDs and namespaces
    return chosen


async def remember(body: kopf.Body, memo: Memo, **_: Any) -> None:
    """Fill the store; kopf calls nothing else before every kind has been listed once."""
    memo.store.put(dict(body))


async def notice(event: kopf.RawEvent, memo: Memo, **_: Any) -> None:
    """Take the news in and have the service looked at."""
    item: dict[str, Any] = dict(event["object"])
    concerned = memo.store.drop(item) if event["type"] == "DELETED" else memo.store.put(item)
    for key in concerned:
        memo.queue.add(key)


for _resource in (LLM_SERVICE, *CHILDREN, POD):
    _selector = (_resource.group, _resource.version, _resource.plural)
    kopf.index(*_selector, registry=REGISTRY, id=f"remember-{_resource.plural}")(remember)
    kopf.on.event(*_selector, registry=REGISTRY, id=f"notice-{_resource.plural}")(notice)
