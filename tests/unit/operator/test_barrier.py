"""Nothing is reconciled before the watches have shown what there is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tandem_operator.kube import barrier as module
from tandem_operator.kube import comparison
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.barrier import Barrier
from tandem_operator.kube.resources import LLM_SERVICE, Object, Resource
from tandem_operator.kube.store import Store


def item(uid: str, namespace: str = "ns", service: str = "demo", kind: str = "Service") -> Object:
    labels = {"tandem.dev/llmservice": service}
    metadata = {"name": uid, "namespace": namespace, "uid": uid, "resourceVersion": "1", "labels": labels}
    return {"kind": kind, "metadata": metadata}


class Api:
    """An API server that has some objects, and counts how often it was asked for them."""

    def __init__(self, *present: Object) -> None:
        self.present = list(present)
        self.lists: list[str | None] = []
        self.fails = False

    async def list_metadata(self, resource: Resource, namespace: str | None, selector: str) -> AsyncIterator[Object]:
        assert bool(selector) == (resource != LLM_SERVICE)
        if self.fails:
            raise ApiError(503, "not now")
        if resource == LLM_SERVICE:
            self.lists.append(namespace)
        for found in list(self.present):
            if found["kind"] == resource.kind and namespace in (None, found["metadata"]["namespace"]):
                yield found

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        for found in self.present:
            metadata = found["metadata"]
            if (found["kind"], metadata["namespace"], metadata["name"]) == (resource.kind, namespace, name):
                return found
        return None


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE", 0.01)
    monkeypatch.setattr(comparison, "_GRACE", 0.0)


def barrier(api: Any, store: Store, *, clusterwide: bool = True) -> Barrier:
    return Barrier(api, store, clusterwide=clusterwide)


async def is_held(passing: asyncio.Task[None]) -> bool:
    done, _ = await asyncio.wait({passing}, timeout=0.1)
    return not done


async def test_it_opens_when_the_last_object_was_shown() -> None:
    store, api = Store(), Api(item("a"), item("b"), item("c", kind="LLMService"))
    passing = asyncio.create_task(barrier(api, store).passed("ns"))
    assert await is_held(passing)
    for uid in ("a", "b"):
        store.put(item(uid))
    assert await is_held(passing)
    store.put(item("c", kind="LLMService"))
    await asyncio.wait_for(passing, 10)


async def test_what_was_deleted_before_the_watches_began_is_not_waited_for() -> None:
    store, api = Store(), Api(item("a"), item("gone"))
    passing = asyncio.create_task(barrier(api, store).passed("ns"))
    store.put(item("a"))
    assert await is_held(passing)
    api.present.pop()
    await asyncio.wait_for(passing, 10)


async def test_what_is_deleted_while_it_waits_is_not_waited_for() -> None:
    store, api = Store(), Api(item("a"), item("b"))
    passing = asyncio.create_task(barrier(api, store).passed("ns"))
    assert await is_held(passing)
    store.put(item("a"))
    store.drop(item("a"))
    api.present.pop(0)
    store.put(item("b"))
    await asyncio.wait_for(passing, 10)


async def test_an_object_whose_label_names_no_service_is_not_waited_for() -> None:
    await asyncio.wait_for(barrier(Api(item("a", service="")), Store()).passed("ns"), 10)


async def test_everything_is_listed_once_however_many_services_wait() -> None:
    store, api = Store(), Api(item("a"), item("b", namespace="other"))
    store.put(item("a"))
    store.put(item("b", namespace="other"))
    held = barrier(api, store)
    await asyncio.gather(*(held.passed(namespace) for namespace in ("ns", "ns", "other")))
    assert api.lists == [None]


async def test_namespaces_that_are_watched_apart_wait_apart() -> None:
    store, api = Store(), Api(item("a"), item("b", namespace="other"))
    store.put(item("a"))
    held = barrier(api, store, clusterwide=False)
    await asyncio.wait_for(held.passed("ns"), 10)
    assert api.lists == ["ns"]
    passing = asyncio.create_task(held.passed("other"))
    assert await is_held(passing)
    store.put(item("b", namespace="other"))
    await asyncio.wait_for(passing, 10)


async def test_a_list_that_fails_opens_nothing_and_may_succeed_later() -> None:
    store, api = Store(), Api(item("a"))
    held = barrier(api, store)
    api.fails = True
    with pytest.raises(ApiError):
        await held.passed("ns")
    api.fails = False
    passing = asyncio.create_task(held.passed("ns"))
    assert await is_held(passing)
    store.put(item("a"))
    await asyncio.wait_for(passing, 10)


async def test_what_is_not_shown_in_time_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    store, api = Store(), Api(item("a"), item("b"))
    store.put(item("a"))
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    await asyncio.wait_for(barrier(api, store).passed("ns"), 10)
    assert store.knows("b")
