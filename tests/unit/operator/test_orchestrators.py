"""What orchestrators are asked, and what is believed of their answers."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import generate_latest
from tandem_contract.progress import Progress
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.outcomes import Outcome
from tandem_operator.api.said import AtWork, Said
from tandem_operator.api.tool_calling import Verification
from tandem_operator.kube import metrics, orchestrators
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.orchestrators import Directory
from tandem_operator.kube.resources import REPLICA_SET, Resource
from tandem_operator.kube.store import Key, Store
from tandem_operator.manifests import Platform, build
from yarl import URL

from tests.sockets.surface.test_tls import Files
from tests.sockets.tools.service import Says, Service

A, B, DEMO = Key("ns", "a"), Key("ns", "b"), Key("ns", "demo")


@pytest.fixture
async def orchestrator() -> AsyncIterator[Service]:
    async with Service() as running:
        running.says["/ready"] = Says({"status": "ready", "degraded": ["one", "two"], "limitations": ["three"]})
        yield running


def at(service: Service) -> URL:
    return URL(f"{service.url}/ready")


def deployment(**config: Any) -> dict[str, Any]:
    """The orchestrator's, as the API server has it."""
    spec = {"model": {"source": "hf://org/model"}, "orchestrator": {"config": config}}
    service = LLMService.model_validate({"metadata": {"name": "demo", "namespace": "ns", "uid": "cr"}, "spec": spec})
    (found,) = (
        child
        for child in build(service, Platform())
        if (child["kind"], child["metadata"]["name"]) == ("Deployment", "demo-orchestrator")
    )
    found["metadata"] |= {"uid": "deployment", "resourceVersion": "1"}
    return found


def owned_by(kind: str, uid: str, name: str = "x") -> list[dict[str, Any]]:
    return [{"kind": kind, "name": name, "uid": uid, "controller": True}]


def pod(name: str = "p", tier: str = "orchestrator", ready: str = "True", maker: str = "set") -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "ns",
        "uid": name,
        "resourceVersion": "1",
        "labels": {"tandem.dev/llmservice": "demo", "tandem.dev/tier": tier},
        "ownerReferences": owned_by("ReplicaSet", maker, f"demo-{maker}"),
    }
    status = {"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": ready}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": status}


class ReplicaSets(Api):
    """An API server that has these, by name."""

    def __init__(self, **sets: dict[str, Any]) -> None:
        self.sets = {f"demo-{name}": found for name, found in sets.items()}
        self.asked: list[str] = []

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        assert (resource, namespace) == (REPLICA_SET, "ns")
        self.asked.append(name)
        if name == "demo-forbidden":
            raise ApiError(403, "no right")
        return self.sets.get(name)


def replica_set(uid: str = "set", maker: str = "deployment") -> dict[str, Any]:
    return {"kind": "ReplicaSet", "metadata": {"uid": uid, "ownerReferences": owned_by("Deployment", maker)}}


def store(*pods: dict[str, Any], owner: str = "cr", **config: Any) -> Store:
    kept = Store()
    metadata = {"name": "demo", "namespace": "ns", "uid": "cr", "resourceVersion": "1"}
    kept.put({"kind": "LLMService", "metadata": metadata})
    made = deployment(**config)
    made["metadata"]["ownerReferences"][0]["uid"] = owner
    for item in (made, *pods):
        kept.put(item)
    return kept


def unheard() -> float:
    lines = generate_latest(metrics.REGISTRY).decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("tandem_operator_unheard_services "))


async def test_each_service_is_told_of_by_its_own_pods(orchestrator: Service) -> None:
    async with Service() as other:
        other.says["/ready"] = Says({"status": "ready", "degraded": []})
        said = await orchestrators.ask({A: [at(orchestrator), at(other)], B: [at(other)]})
    assert said == {A: Said(("one", "two"), ("three",)), B: Said()}, "one of an older release tells no limitations"
    assert unheard() == 0


async def test_one_pod_is_asked_to_verify_engines() -> None:
    url, other = URL("http://10.0.0.7:8002/ready"), URL("http://10.0.0.8:8002/ready")
    asked = URL("http://10.0.0.8:8002/ready?tool_calling=engine&tool_calling=small")
    found = orchestrators.verifying({A: [url, other], B: [url], DEMO: []}, {A: ["engine", "small"], DEMO: ["engine"]})
    assert found == {A: [url, asked], B: [url], DEMO: []}


def verdict(**changes: Any) -> dict[str, Any]:
    return {
        "upstream": "engine",
        "address": "10.0.0.3:8000",
        "verified": True,
        "reason": "Verified",
        "message": "y",
    } | changes


async def test_what_was_verified_is_told(orchestrator: Service) -> None:
    entries = [verdict(), verdict(verified=None, reason="NotVerified", message="\x1b[2J" + "x" * 5_000, more=1)]
    orchestrator.says["/ready"] = Says({"degraded": [], "tool_calling": [*entries, *[verdict()] * 2_000][:300]})
    async with Service() as other:
        other.says["/ready"] = Says({"degraded": []})
        said = (await orchestrators.ask({A: [at(orchestrator), at(other)]}))[A].tool_calling
    assert said[0] == Verification("engine", "10.0.0.3:8000", verified=True, reason="Verified", message="y")
    assert (said[1].verified, said[1].message) == (None, (" [2J" + "x" * 5_000)[:1_024])
    assert len(said) == 300


async def urls(api: Api, *pods: dict[str, Any], **config: Any) -> list[str] | None:
    kept = store(*pods, **config)
    found = await Directory(api, kept).urls(kept.services())
    return [str(url) for url in found[DEMO]] if found else None


async def test_only_orchestrators_that_are_ready_are_asked() -> None:
    ending = pod("ending")
    ending["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    api = ReplicaSets(set=replica_set())
    assert await urls(api, ending, pod("fresh", ready="False"), pod("engine", tier="engine")) is None
    assert not api.asked
    nowhere = pod("nowhere")
    del nowhere["status"]["podIP"]
    assert await urls(api, nowhere) == []
    assert await urls(api, nowhere, pod()) == ["http://10.0.0.7:8002/ready"]


async def test_the_newest_of_many_are_asked() -> None:
    pods = [pod(f"p-{n}") for n in range(9)]
    for n, item in enumerate(pods):
        item["metadata"]["creationTimestamp"] = f"2026-11-21T12:00:{n:02}Z"
        item["status"]["podIP"] = f"10.0.0.{n}"
    api = ReplicaSets(set=replica_set())
    assert await urls(api, *pods) == [f"http://10.0.0.{n}:8002/ready" for n in (8, 7, 6, 5)]


async def test_only_pods_that_the_deployment_has_made_are_asked() -> None:
    api = ReplicaSets(
        set=replica_set(),
        former=replica_set("former"),
        foreign=replica_set("foreign", "another"),
        orphan={"kind": "ReplicaSet", "metadata": {"uid": "orphan"}},
        namesake=replica_set("of-another-uid"),
    )
    alone, direct = pod("alone"), pod("direct")
    del alone["metadata"]["ownerReferences"]
    direct["metadata"]["ownerReferences"] = owned_by("Deployment", "deployment")
    held = pod("held")
    held["metadata"]["ownerReferences"][0]["controller"] = False
    strangers = [pod(maker=maker) for maker in ("foreign", "orphan", "namesake", "gone", "forbidden")]
    for stranger in (alone, direct, held, *strangers):
        assert await urls(api, stranger) == [], stranger["metadata"]
    assert await urls(api, pod(), owner="another-service") == []
    assert await urls(api, pod(), pod("q", maker="former")) == ["http://10.0.0.7:8002/ready"] * 2


async def test_a_replica_set_is_looked_up_once_as_long_as_it_has_pods() -> None:
    api = ReplicaSets(set=replica_set(), next=replica_set("next"))
    kept = store(pod("a"), pod("b"))
    directory = Directory(api, kept)
    for _ in range(3):
        assert len((await directory.urls(kept.services()))[DEMO]) == 2
    assert api.asked == ["demo-set"]
    kept.drop(pod("a"))
    kept.drop(pod("b"))
    kept.put(pod("c", maker="next"))
    await directory.urls(kept.services())
    assert api.asked == ["demo-set", "demo-next"]
    assert list(directory._makers) == ["next"], "what has no pods is forgotten"


@pytest.mark.parametrize(
    "says",
    [
        Says({"status": "draining", "degraded": []}, status=503),
        Says({"status": "ready"}),
        Says(["ready"]),
        Says(b"{", kind="text/plain"),
        Says({"degraded": ["x" * 70_000]}),
        Says({"degraded": []}, status=302, headers={"location": "/other"}),
        Says({"degraded": "one"}),
        Says({"degraded": [{"one": 1}]}),
        Says({"degraded": [], "tool_calling": {}}),
        Says({"degraded": [], "tool_calling": ["x"]}),
        Says({"degraded": [], "tool_calling": [verdict(verified=1)]}),
        Says({"degraded": [], "tool_calling": [verdict(reason="a b")]}),
        Says({"degraded": [], "tool_calling": [verdict(message=None)]}),
        Says({"degraded": [], "at_work": {}}),
        Says({"degraded": [], "kv_tokens": []}),
        Says({"degraded": [], "outcomes": {}}),
        Says(b"[" * 60_000),
        Says(zlib.compress(b'{"degraded": ["' + b"x" * 9_000_000 + b'"]}'), headers={"content-encoding": "deflate"}),
    ],
    ids=[
        *("not ready", "another shape", "no object", "no JSON", "too long", "elsewhere"),
        *("a text", "no texts", "verdicts: no list", "no objects", "no verdicts", "no reason", "no message"),
        *("no list", "no figures", "outcomes: no list", "too deep", "too long, compressed"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_none(orchestrator: Service, says: Says) -> None:
    orchestrator.says = {"/ready": says, "/other": Says({"degraded": []})}
    async with Service() as other:
        other.says["/ready"] = Says({"degraded": []})
        assert await orchestrators.ask({A: [at(orchestrator)], B: [at(other)]}) == {B: Said()}
    assert len(orchestrator.asked) == 1
    assert unheard() == 1


async def test_one_that_does_not_answer_is_waited_for_not_long(
    orchestrator: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestrators, "_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    orchestrator.hold.clear()
    async with asyncio.timeout(2):
        assert await orchestrators.ask({A: [at(orchestrator)], B: [URL("http://127.0.0.1:1/ready")]}) == {}
    assert unheard() == 2


async def test_https_is_spoken_whatever_names_the_certificate_has(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.renew()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate, files.key)

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"degraded": ["by TLS"]})

    app = web.Application()
    app.add_routes([web.get("/ready", ready)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        url = URL.build(scheme="https", host="127.0.0.1", port=runner.addresses[0][1], path="/ready")
        assert await orchestrators.ask({A: [url]}) == {A: Said(("by TLS",))}
    finally:
        await runner.cleanup()


async def test_what_is_said_is_bounded_and_printable(orchestrator: Service) -> None:
    lines = ["\x1b[2J\u202eno\n", "x" * 5_000, *["y"] * 900]
    orchestrator.says["/ready"] = Says({"degraded": lines})
    said = (await orchestrators.ask({A: [at(orchestrator)]}))[A].degraded
    assert said[:3] == (" [2J no ", "x" * 1_024, "y")
    assert len(said) == 256


async def test_of_what_is_said_of_engines_only_what_has_sense_is_believed(orchestrator: Service) -> None:
    good = {"upstream": "engine", "address": "10.0.0.7", "progress": "hangs", "seconds": 95}
    strange: list[Any] = [
        *({**good, "address": address} for address in ("", "demo-engine-a", "10.0.0.7:8000", "10.0.0.0/8", 7, None)),
        *({**good, "progress": progress} for progress in ("rests", "", 1, ["hangs"])),
        *({**good, "seconds": seconds} for seconds in (-1, "95", 1.5, 10**15, None)),
        *("hangs", None, [], {}),
    ]
    more = {**good, "address": "fd00:0::7", "progress": "moves", "more": "than is known"}
    orchestrator.says["/ready"] = Says({"degraded": [], "at_work": [*strange, good, more]})
    said = (await orchestrators.ask({A: [at(orchestrator)]}))[A]
    assert said.at_work == (AtWork("10.0.0.7", Progress.HANGS, 95), AtWork("fd00::7", Progress.MOVES, 95))
    assert said.in_doubt
    orchestrator.says["/ready"] = Says({"degraded": [], "at_work": [good] * 300})
    assert len((await orchestrators.ask({A: [at(orchestrator)]}))[A].at_work) == 256


async def test_some_are_asked_again_without_being_taken_for_all(orchestrator: Service) -> None:
    await orchestrators.ask({A: [at(orchestrator)], B: []})
    assert await orchestrators.ask_again({A: [at(orchestrator)]}) == {A: Said(("one", "two"), ("three",))}
    assert unheard() == 1


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("10.0.0.7", "http://10.0.0.7:8002/ready"),
        ("240.1.2.3", "http://240.1.2.3:8002/ready"),
        ("fd00::7", "http://[fd00::7]:8002/ready"),
        *((refused, None) for refused in ("127.0.0.9", "::1", "169.254.169.254", "fe80::1", "fe80::1%eth0")),
        *((refused, None) for refused in ("0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:127.0.0.1")),
        *((refused, None) for refused in ("", "localhost", "10.0.0.7:1", "x@10.0.0.7", "10.0.0.7/x", "2130706433")),
    ],
)
def test_a_pod_is_asked_at_an_address_of_a_pod(address: str, url: str | None) -> None:
    made = pod()
    made["status"]["podIP"] = address
    found = orchestrators._url(deployment(), made)
    assert (str(found) if found else None) == url


def test_port_and_scheme_are_those_of_the_deployment() -> None:
    named = {"secretName": "tls", "secretKey": "x"}
    served = deployment(server={"tls": {"certificate": named, "key": named}, "metricsPort": 9000})
    assert str(orchestrators._url(served, pod())) == "https://10.0.0.7:9000/ready"


@pytest.mark.parametrize("part", ["name", "ports", "readinessProbe"])
def test_a_deployment_that_a_hand_has_changed_ends_nothing(part: str) -> None:
    changed = deployment()
    others: dict[str, Any] = {"name": "other", "ports": [], "readinessProbe": {}}
    changed["spec"]["template"]["spec"]["containers"][0][part] = others[part]
    url = orchestrators._url(changed, pod())
    assert str(url) == ("http://10.0.0.7:8002/ready" if part == "readinessProbe" else "None")


async def test_the_room_in_caches_is_told(orchestrator: Service) -> None:
    figures = {"engine": 184_832, "none": 0, "many": 2**60, "text": "5", "bool": True}
    orchestrator.says["/ready"] = Says({"degraded": [], "kv_tokens": figures})
    assert (await orchestrators.ask({A: [at(orchestrator)]}))[A].kv_tokens == (("engine", 184_832),)


async def test_how_requests_ended_is_believed_of_the_engines_that_are_rolled_out(orchestrator: Service) -> None:
    good = {"upstream": "engine", "requests": 7, "failures": 1, "first_tokens": 6, "first_token_seconds": 1.5}
    strange: list[Any] = [
        *({**good, "requests": requests} for requests in (-1, 1.5, "x", None, 2**60)),
        *({**good, "first_token_seconds": seconds} for seconds in (-1, "x", None, 1e300)),
        *("x", None, [], {}, {**good, "upstream": "other"}),
    ]
    beside = {**good, "upstream": "engine-next", "more": "than is known"}
    orchestrator.says["/ready"] = Says({"degraded": [], "outcomes": [*strange, good, beside]})
    said = (await orchestrators.ask({A: [at(orchestrator)]}))[A]
    one = Outcome(pod="127.0.0.1", upstream="engine", requests=7, failures=1, first_tokens=6, first_token_seconds=1.5)
    assert said.outcomes == (one, one.model_copy(update={"upstream": "engine-next"}))
    orchestrator.says["/ready"] = Says({"degraded": []})
    assert said == (await orchestrators.ask({A: [at(orchestrator)]}))[A], "other counts are no news"
