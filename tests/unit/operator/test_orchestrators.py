"""What orchestrators are asked, and what is believed of their answers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from prometheus_client import generate_latest
from tandem_operator.api.llmservice import LLMService
from tandem_operator.kube import metrics, orchestrators
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Platform, build

from tests.orchestrator.surface.test_tls import Files
from tests.orchestrator.tools.service import Says, Service

A, B = Key("ns", "a"), Key("ns", "b")


@pytest.fixture
async def orchestrator() -> AsyncIterator[Service]:
    async with Service() as running:
        running.says["/ready"] = Says({"status": "ready", "degraded": ["one", "two"]})
        yield running


def template(tier: str, **config: Any) -> dict[str, Any]:
    """The pod that the operator wants of a tier."""
    spec = {"model": {"source": "hf://org/model"}, "orchestrator": {"config": config}}
    service = LLMService.model_validate({"metadata": {"name": "demo", "namespace": "ns"}, "spec": spec})
    (found,) = [
        child["spec"]["template"]
        for child in build(service, Platform())
        if (child["kind"], child["metadata"]["name"]) == ("Deployment", f"demo-{tier}")
    ]
    return dict(found)


def pod(port: int, name: str = "p", tier: str = "orchestrator", ready: str = "True", **config: Any) -> dict[str, Any]:
    made = template(tier, **config)
    (container,) = made["spec"]["containers"]
    container["ports"][-1]["containerPort"] = port
    status = {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": ready}]}
    return {**made, "metadata": {**made["metadata"], "name": name}, "status": status}


def unheard() -> float:
    lines = generate_latest(metrics.REGISTRY).decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("tandem_operator_unheard_services "))


async def test_each_service_is_told_of_by_its_own_pods(orchestrator: Service) -> None:
    async with Service() as other:
        other.says["/ready"] = Says({"status": "ready", "degraded": []})
        mixed = [pod(orchestrator.port), pod(other.port, "q")]
        said = await orchestrators.ask({A: mixed, B: [pod(other.port)], Key("ns", "c"): []})
    assert said == {A: ["one", "two"], B: []}
    assert unheard() == 0


async def test_only_orchestrators_that_are_ready_are_asked(orchestrator: Service) -> None:
    ending = pod(orchestrator.port)
    ending["metadata"]["deletionTimestamp"] = "2026-11-21T12:00:00Z"
    fresh = pod(orchestrator.port, ready="False")
    nowhere = pod(orchestrator.port)
    del nowhere["status"]["podIP"]
    assert await orchestrators.ask({A: [ending, fresh, nowhere, pod(orchestrator.port, tier="engine")]}) == {}
    assert not orchestrator.asked
    assert unheard() == 0


async def test_the_newest_of_many_are_asked(orchestrator: Service) -> None:
    async with Service() as old:
        pods = [pod(old.port, f"old-{n}") for n in range(9)]
        for n, item in enumerate([*pods, *(new := [pod(orchestrator.port, f"new-{n}") for n in range(4)])]):
            item["metadata"]["creationTimestamp"] = f"2026-11-21T12:00:{n:02}Z"
        assert await orchestrators.ask({A: [*new, *pods]}) == {A: ["one", "two"] * 4}
        assert not old.asked


@pytest.mark.parametrize(
    "says",
    [
        Says({"status": "draining", "degraded": []}, status=503),
        Says({"status": "ready"}),
        Says(["ready"]),
        Says(b"{", kind="text/plain"),
        Says({"degraded": ["x" * 70_000]}),
        Says({"degraded": []}, status=302, headers={"location": "/other"}),
    ],
    ids=["not ready", "another shape", "no object", "no JSON", "too long", "elsewhere"],
)
async def test_an_answer_that_cannot_be_read_is_none(orchestrator: Service, says: Says) -> None:
    orchestrator.says = {"/ready": says, "/other": Says({"degraded": []})}
    async with Service() as other:
        other.says["/ready"] = Says({"degraded": []})
        assert await orchestrators.ask({A: [pod(orchestrator.port)], B: [pod(other.port)]}) == {B: []}
    assert len(orchestrator.asked) == 1
    assert unheard() == 1


async def test_one_that_does_not_answer_is_waited_for_not_long(
    orchestrator: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orchestrators, "_TIMEOUT", aiohttp.ClientTimeout(total=0.05))
    orchestrator.hold.clear()
    async with asyncio.timeout(2):
        assert await orchestrators.ask({A: [pod(orchestrator.port)], B: [pod(1)]}) == {}
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
    named = {"secretName": "tls", "secretKey": "x"}
    try:
        served = pod(runner.addresses[0][1], server={"tls": {"certificate": named, "key": named}})
        assert await orchestrators.ask({A: [served]}) == {A: ["by TLS"]}
    finally:
        await runner.cleanup()


def test_an_ipv6_address_is_written_as_a_url_wants_it() -> None:
    made = pod(8002)
    made["status"]["podIP"] = "fd00::7"
    assert orchestrators._places([made]) == ["http://[fd00::7]:8002/ready"]


def test_a_pod_of_before_is_asked_where_its_probe_goes() -> None:
    made = pod(8002)
    del made["spec"]["containers"][0]["ports"][-1]
    assert orchestrators._places([made]) == ["http://127.0.0.1:8001/ready"]
