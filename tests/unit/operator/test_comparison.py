"""The store, compared with lists of the API server."""

from collections.abc import AsyncIterator, Callable

import pytest
from tandem_operator.kube import comparison
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.comparison import compare
from tandem_operator.kube.resources import Object, Resource
from tandem_operator.kube.store import Key, Store

DEMO = Key("ns", "demo")


def item(uid: str, version: int = 1, kind: str = "Service", namespace: str = "ns") -> Object:
    labels = {"tandem.dev/llmservice": "demo"}
    metadata = {"name": uid, "namespace": namespace, "uid": uid, "resourceVersion": str(version), "labels": labels}
    return {"kind": kind, "metadata": metadata}


class Api:
    """An API server that has some objects, and a watch that says something while it answers."""

    def __init__(self, *present: Object, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.present = {found["metadata"]["uid"]: found for found in present}
        self.meanwhile = meanwhile
        self.unreadable: dict[str, ApiError] = {}
        self.fetched: list[str] = []

    async def list_metadata(self, resource: Resource, namespace: str | None, selector: str) -> AsyncIterator[Object]:
        assert selector == "tandem.dev/llmservice" or resource.kind == "LLMService"
        for found in list(self.present.values()):
            if found["kind"] == resource.kind and namespace in (None, found["metadata"]["namespace"]):
                yield found
        self.meanwhile()

    async def get(self, resource: Resource, namespace: str, name: str) -> Object | None:
        assert (resource.kind, namespace) == ("Service", "ns")
        self.fetched.append(name)
        if name in self.unreadable:
            raise self.unreadable[name]
        return self.present.get(name)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_GRACE", 0.0)


def store_of(*items: Object) -> Store:
    store = Store()
    for each in items:
        store.put(each)
    return store


async def compared(api: Api, store: Store, namespace: str | None = None) -> set[Key]:
    return (await compare(api, store, namespace)).concerned  # type: ignore[arg-type]


async def test_what_is_as_it_is_known_costs_no_request() -> None:
    api = Api(item("a"), item("b"))
    assert await compared(api, store_of(item("a"), item("b"))) == set()
    assert api.fetched == []


async def test_what_is_gone_is_dropped() -> None:
    store = store_of(item("a"), item("b"))
    assert await compared(Api(item("a")), store) == {DEMO}
    assert store.objects(None).keys() == {"a"}


async def test_what_was_put_while_it_was_listed_stays() -> None:
    store = store_of(item("a"))
    api = Api(meanwhile=lambda: store.put(item("a", 2)))
    assert await compared(api, store) == set()
    assert store.knows("a")


async def test_what_no_watch_has_shown_is_fetched() -> None:
    store, api = store_of(item("old")), Api(item("old", 2), item("new"))
    assert await compared(api, store) == {DEMO}
    assert sorted(api.fetched) == ["new", "old"]
    assert store.objects(None) == {"old": item("old", 2), "new": item("new")}


async def test_what_a_watch_shows_meanwhile_is_not_fetched() -> None:
    store = store_of(item("a"))
    assert await compared(Api(item("a", 2), meanwhile=lambda: store.put(item("a", 3))), store) == set()
    assert store.get(item("a")) == item("a", 3)


async def test_after_a_restore_the_api_server_is_right() -> None:
    store = store_of(item("a", 900))
    assert await compare(Api(item("a", 5)), store, None) == ({DEMO}, True)  # type: ignore[arg-type]
    assert store.get(item("a")) == item("a", 5)


async def test_other_namespaces_are_left_alone() -> None:
    store = store_of(item("a"), item("b", namespace="other"))
    assert await compared(Api(), store, "ns") == {DEMO}
    assert store.objects(None).keys() == {"b"}


async def test_what_cannot_be_read_does_not_stop_the_others() -> None:
    store, api = Store(), Api(item("a"), item("b"), item("c"))
    api.unreadable["b"] = ApiError(200, "its answer cannot be read")
    assert await compared(api, store) == {DEMO}
    assert store.objects(None).keys() == {"a", "c"}


async def test_an_api_server_that_is_away_ends_it() -> None:
    api = Api(item("a"))
    api.unreadable["a"] = ApiError(0, "no answer")
    with pytest.raises(ApiError):
        await compared(api, Store())
