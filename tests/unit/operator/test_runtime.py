"""What stands between a service's news and its reconciling."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kopf
import pytest
from tandem_contract.progress import Progress
from tandem_operator import handlers, runtime
from tandem_operator.api.said import AtWork, Said
from tandem_operator.api.tool_calling import Verification
from tandem_operator.kube import orchestrators
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.store import Key, Store
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster
from tandem_operator.workqueue import RetryError
from yarl import URL

DEMO = Key("ns", "demo")
FOUND = Verification("engine", "10.0.0.3:8000", verified=True, reason="Verified", message="")


class EndError(Exception):
    """The end of what goes on for ever."""


class Barrier:
    """One that notes who asked, and may fail."""

    def __init__(self, story: list[str], failure: ApiError | None = None) -> None:
        self.story = story
        self.failure = failure

    async def passed(self, namespace: str) -> None:
        self.story.append(f"passed {namespace}")
        if self.failure:
            raise self.failure


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []

    async def reconcile(_: Any, key: Key) -> None:
        told.append(f"reconciled {key.name}")

    monkeypatch.setattr(runtime, "reconcile", reconcile)
    return told


async def test_a_service_is_reconciled_when_all_was_shown(story: list[str]) -> None:
    cluster: Any = None
    barrier: Any = Barrier(story)
    await runtime._reconcile(cluster, barrier, DEMO)
    assert story == ["passed ns", "reconciled demo"]


async def test_it_is_tried_again_when_the_api_server_could_not_say_what_there_is(story: list[str]) -> None:
    cluster: Any = None
    barrier: Any = Barrier(story, ApiError(503, "not now"))
    with pytest.raises(RetryError, match="not now"):
        await runtime._reconcile(cluster, barrier, DEMO)
    assert story == ["passed ns"]


async def test_the_same_credentials_again_are_known_to_be_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Otherwise kopf would try what the API server refuses again and again, without a pause."""
    config = tmp_path / "config"
    monkeypatch.setenv("KUBECONFIG", str(config))

    def logged_in(token: str) -> Any:
        context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
        cluster = {"name": "a", "cluster": {"server": "https://a"}}
        user = {"name": "a", "user": {"token": token}}
        config.write_text(
            json.dumps({"current-context": "a", "contexts": [context], "clusters": [cluster], "users": [user]})
        )
        login: Any = handlers.login
        return login(settings=kopf.OperatorSettings())

    first = logged_in("one")
    assert first == logged_in("one")
    assert first != logged_in("two")
    for _ in range(2):  # kopf closes what it was given, and asks for it again
        async with first.aiohttp_session as session:
            assert session.headers["Authorization"] == "Bearer one"
            assert not session.closed


async def test_orchestrators_are_asked_again_sooner_where_an_engine_may_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a minute all of them, and each ten seconds those alone that are in doubt."""
    asked: list[Any] = []
    doubt = Said(at_work=(AtWork("10.0.0.7", Progress.STANDS, 31),))
    later = iter((doubt, Said()))

    class Directory:
        def __init__(self, *_: Any) -> None: ...

        async def urls(self, keys: Any) -> dict[Key, list[Any]]:
            return {key: [] for key in keys}

    async def ask(urls: dict[Key, list[Any]]) -> dict[Key, Said]:
        asked.append(("all", [key.name for key in urls]))
        return {DEMO: doubt, Key("ns", "well"): Said()}

    async def ask_again(urls: dict[Key, list[Any]]) -> dict[Key, Said]:
        asked.append(("again", [key.name for key in urls]))
        return dict.fromkeys(urls, next(later)) if urls else {}

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        if asked.count(10.0) > 10:
            raise EndError

    monkeypatch.setattr(orchestrators, "Directory", Directory)
    monkeypatch.setattr(orchestrators, "ask", ask)
    monkeypatch.setattr(orchestrators, "ask_again", ask_again)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    cluster: Any = Cluster(Api.__new__(Api), Images())
    queue: Any = Queue()
    with pytest.raises(EndError):
        await runtime._ask_orchestrators(cluster, queue, 60)
    told = [each for each in asked if each not in (10.0, ("again", []))]
    assert told == [("all", []), ("again", ["demo"]), ("again", ["demo"])]


class Queue:
    """One that notes what is asked of it."""

    def __init__(self) -> None:
        self.added: list[tuple[Key, bool]] = []

    def add(self, key: Key, *, urgent: bool = False) -> None:
        self.added.append((key, urgent))


def service(version: int, **content: Any) -> Any:
    metadata = {"namespace": "ns", "name": "demo", "uid": "u", "resourceVersion": str(version)}
    return {"kind": "LLMService", "metadata": metadata, **content}


async def test_a_change_of_a_service_at_work_is_urgent_and_what_is_new_or_listed_is_not() -> None:
    queue: Any = Queue()
    memo = handlers.Memo(store=Store(), queue=queue)

    async def noticed(kind: str | None, item: Any) -> list[tuple[Key, bool]]:
        queue.added.clear()
        await handlers.notice({"type": kind, "object": item}, memo)  # type: ignore[typeddict-item]
        return list(queue.added)

    looked_at: dict[str, Any] = {"conditions": []}
    assert await noticed("ADDED", service(1, status={"observedGeneration": -1})) == [(DEMO, False)]
    assert await noticed("MODIFIED", service(2, status=looked_at)) == [(DEMO, True)]
    assert await noticed("MODIFIED", service(2, status=looked_at)) == [], "the echo of a write of our own"
    assert await noticed(None, service(3, status=looked_at)) == [(DEMO, False)]
    assert await noticed("DELETED", service(4, status=looked_at)) == [(DEMO, False)]


async def test_orchestrators_are_asked_for_what_they_are_to_verify(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [{DEMO: Said(("one",))}, {DEMO: Said(("one",))}, {DEMO: Said(("one",), tool_calling=(FOUND,))}]
    asked: list[str] = []

    class Directory:
        def __init__(self, *_: object) -> None:
            """Knows one pod."""

        async def urls(self, _: Any) -> dict[Key, list[URL]]:
            return {DEMO: [URL("http://10.0.0.7:8002/ready")]}

    async def ask(urls: dict[Key, list[URL]]) -> dict[Key, Said]:
        asked.extend(str(url) for url in urls[DEMO])
        if not answers:
            raise asyncio.CancelledError
        return answers.pop(0)

    monkeypatch.setattr(orchestrators, "Directory", Directory)
    monkeypatch.setattr(orchestrators, "ask", ask)
    cluster: Any = Cluster(Api.__new__(Api), Images(), tool_callers={DEMO: ["engine"]})
    added: list[Key] = []
    queue: Any = SimpleNamespace(add=added.append)
    with pytest.raises(asyncio.CancelledError):
        await runtime._ask_orchestrators(cluster, queue, 0)
    assert asked == ["http://10.0.0.7:8002/ready?tool_calling=engine"] * 4
    assert added == [DEMO, DEMO], "what is new is looked at, also what was verified"
    assert cluster.said[DEMO].tool_calling == (FOUND,)


@pytest.mark.parametrize(
    ("namespaces", "scopes"),
    [((), {None}), (("a", "b"), {"a", "b", "ns"}), (("a*",), {"ns"}), (("a*,!ab",), {"ns"})],
)
def test_what_is_compared(namespaces: tuple[str, ...], scopes: set[str | None]) -> None:
    assert runtime._scopes(namespaces, [DEMO]) == scopes


def test_kopf_is_given_no_index_whose_barrier_costs_the_square_of_the_objects() -> None:
    assert not list(handlers.REGISTRY._indexing.get_all_handlers())
