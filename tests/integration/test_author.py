"""An author's view: what somebody gets who may write the LLMServices of one namespace and nothing else.

Each attack is made with that person's own certificate, on an API server with the policy of the operator's chart.
"""

import asyncio
import copy
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from tandem_operator.api.allowance import VARIABLE
from tandem_operator.kube.api import ApiError, connected
from tandem_operator.kube.resources import LLM_SERVICE, SECRET, Object
from tandem_operator.kube.store import Key

from hack import tools
from hack.cluster.control_plane import ControlPlane
from tests.integration.authors import AUTHOR, EDITOR, MODEL, a_namespace, grant, policy, put, refusal, right, service
from tests.integration.cluster import Kubernetes, by_kind, eventually
from tests.integration.conftest import running_operator
from tests.integration.pods import PodServer, listening_at, made_by_its_deployment, named, ready_pod
from tests.integration.test_running import asked_again
from tests.sockets.tools.service import Says, Service
from tests.unit.charts import helm

FULL: Object = yaml.safe_load((helm.ROOT / "manifests" / "samples" / "full.yaml").read_text())["spec"]
"""A spec with every field, less what takes more than rights to read."""
ONE = {"min": 1, "max": 1}
BASE = {"source": "hf://org/base"}
ADAPTERS = [{"name": "legal", "source": "pvc://database/legal"}]
GUESSED = {"method": "draft-model", "tokens": 4, "model": {"source": "pvc://database/draft"}}
ANOTHER = {"model": {"source": "hf://org/another"}}
for tier in ("engine", "embeddingEngine", "orchestrator"):
    for field in ("tolerations", "podLabels", "podAnnotations", "priorityClassName"):
        FULL[tier].pop(field)
del FULL["networking"]["service"]["annotations"]


@pytest.fixture
async def author(control_plane: ControlPlane, kubernetes: Kubernetes) -> AsyncIterator[Kubernetes]:
    for item in policy():
        await put(kubernetes, item)
    async with connected(str(control_plane.client(AUTHOR, AUTHOR))) as client:
        yield Kubernetes(client)


@pytest.fixture
async def place(kubernetes: Kubernetes, author: Kubernetes) -> str:
    """A namespace of the author's that no operator watches."""
    return await a_namespace(kubernetes, author, "still")


@pytest.fixture
async def watched(kubernetes: Kubernetes, author: Kubernetes, operator: None) -> str:
    """A namespace of the author's that an operator watches."""
    return await a_namespace(kubernetes, author, "live")


def references(document: Any, *path: str | int) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Path and kind of every name of a Secret or ConfigMap in a spec."""
    if isinstance(document, list):
        document = dict(enumerate(document))
    if isinstance(document, dict):
        for key, value in document.items():
            here = (*path, key)
            if key in ("secretName", "configMapName"):
                yield here, "secrets" if key == "secretName" else "configmaps"
            elif key in ("secretKeyRef", "configMapKeyRef"):
                yield (*here, "name"), "secrets" if key == "secretKeyRef" else "configmaps"
            elif key == "imagePullSecrets":
                yield from (((*here, index, "name"), "secrets") for index in range(len(value)))
            else:
                yield from references(value, *here)


def naming(spec: Object, path: tuple[str | int, ...], name: str) -> Object:
    """The spec with another name at this path."""
    changed: Any = copy.deepcopy(spec)
    holder = changed
    for part in path[:-1]:
        holder = holder[part]
    holder[path[-1]] = name
    return dict(changed)


class TestReading:
    """Whatever a spec names, its author may read or run pods that read it."""

    @pytest.mark.parametrize(
        ("path", "resource"), list(references(FULL)), ids=[".".join(map(str, path)) for path, _ in references(FULL)]
    )
    async def test_one_right_is_missing(
        self, kubernetes: Kubernetes, author: Kubernetes, place: str, path: tuple[str | int, ...], resource: str
    ) -> None:
        spec = FULL
        for each, _ in references(FULL):
            spec = naming(spec, each, "theirs" if each == path else "ours")
        claims = right("persistentvolumeclaims", "use")
        ours = [right(each, "get", names=("ours",)) for each in ("secrets", "configmaps")]
        await grant(kubernetes, place, claims, *ours)

        async def only_the_other_is_refused() -> bool:
            return f"may not get {resource}/theirs" in await refusal(author, place, spec)

        await eventually(only_the_other_is_refused)
        await grant(kubernetes, place, claims, *(right(each, "get") for each in ("secrets", "configmaps")))
        await accepted(author, place, spec)

    @pytest.mark.parametrize(
        ("spec", "field"),
        [
            ({"model": {"source": "pvc://database/base"}}, "model.source"),
            ({"embeddingEngine": {"model": {"source": "pvc://database/base"}}}, "embeddingEngine.model.source"),
            (
                {"additionalEngines": {"a-b": {"model": {"source": "pvc://database/base"}}}},
                "additionalEngines.a-b.model.source",
            ),
            ({"model": {**BASE, "adapters": ADAPTERS}}, "model.adapters"),
            ({"embeddingEngine": {"model": {**BASE, "adapters": ADAPTERS}}}, "embeddingEngine.model.adapters"),
            (
                {"additionalEngines": {"a-b": {"model": {**BASE, "adapters": ADAPTERS}}}},
                "additionalEngines.a-b.model.adapters",
            ),
            ({"engine": {"speculativeDecoding": GUESSED}}, "engine.speculativeDecoding.model.source"),
            (
                {"additionalEngines": {"a-b": {"model": BASE, "speculativeDecoding": GUESSED}}},
                "additionalEngines.a-b.speculativeDecoding.model.source",
            ),
            (
                {"orchestrator": {"replicas": ONE, "state": {"sqlite": {}}, "files": {"claimName": "database"}}},
                "orchestrator.files.claimName",
            ),
        ],
        ids=[
            *("model", "embedding", "additional", "adapters", "embedding adapters", "additional adapters"),
            *("draft", "additional draft", "files"),
        ],
    )
    async def test_a_claim(
        self, kubernetes: Kubernetes, author: Kubernetes, place: str, spec: Object, field: str
    ) -> None:
        said = await refusal(author, place, spec)
        assert f"spec.{field}: you may not use persistentvolumeclaims/database" in said
        await grant(kubernetes, place, right("persistentvolumeclaims", "use", names=("database",)))
        await accepted(author, place, spec)

    async def test_more_than_can_be_looked_up(self, kubernetes: Kubernetes, author: Kubernetes, place: str) -> None:
        variables = [{"name": f"V{i}", "valueFrom": {"secretKeyRef": {"name": f"s{i}", "key": "k"}}} for i in range(64)]
        pulls = [{"name": f"p{i}"} for i in range(8)]
        tiers = {tier: {"env": variables, "imagePullSecrets": pulls} for tier in ("engine", "orchestrator")}
        assert "more than 20" in await refusal(author, place, tiers)
        await grant(kubernetes, place, right("secrets", "get", names=tuple(f"s{i}" for i in range(20))))
        await accepted(author, place, {"engine": {"env": variables[:20]}})
        await grant(kubernetes, place, *EDITOR)
        await accepted(author, place, tiers)

    async def test_who_may_create_pods_has_it_anyway(
        self, kubernetes: Kubernetes, author: Kubernetes, place: str
    ) -> None:
        await grant(kubernetes, place, right("deployments", "create", group="apps"))
        await accepted(author, place, FULL)
        await accepted(author, place, {"model": {"source": "pvc://database/base"}})

    async def test_what_another_has_named_is_not_read_by_an_image_of_ones_own(
        self, kubernetes: Kubernetes, author: Kubernetes, place: str
    ) -> None:
        await kubernetes.serve(place, model={**MODEL, "credentials": {"secretName": "theirs"}})
        key = Key(place, "demo")
        await author.edit(LLM_SERVICE, key, "demo", {"metadata": {"labels": {"team": "a"}}})
        await author.edit(LLM_SERVICE, key, "demo", {"spec": {"replicas": 3}}, "scale")
        for change in ({"engine": {"image": "mine"}}, {"orchestrator": {"env": [{"name": "A", "value": "b"}]}}):
            with pytest.raises(ApiError, match="may not get secrets/theirs"):
                await author.edit(LLM_SERVICE, key, "demo", {"spec": change})
        await author.edit(LLM_SERVICE, key, "demo", {"spec": {"model": {"credentials": None}}})


async def accepted(author: Kubernetes, namespace: str, spec: Object) -> None:
    """The API server takes the spec, as soon as it knows of new rights."""

    async def is_accepted() -> bool:
        return not await refusal(author, namespace, spec)

    await eventually(is_accepted)


@pytest.mark.parametrize(
    ("spec", "needs"),
    [
        ({"networking": {"service": {"type": "LoadBalancer"}}}, "services"),
        ({"networking": {"service": {"type": "NodePort"}}}, "services"),
        (
            {"networking": {"service": {"annotations": {"external-dns.alpha.kubernetes.io/hostname": "bank"}}}},
            "services",
        ),
        ({"engine": {"tolerations": [{"key": "dedicated", "operator": "Exists"}]}}, "pods"),
        ({"orchestrator": {"tolerations": [{"operator": "Exists"}]}}, "pods"),
        ({"engine": {"podLabels": {"app": "payments"}}}, "pods"),  # its Service would send requests here
        ({"orchestrator": {"podAnnotations": {"vault.example.com/role": "payments"}}}, "pods"),
        ({"engine": {"priorityClassName": "urgent"}}, "pods"),
        ({"embeddingEngine": {"model": {"source": "hf://org/e"}, "priorityClassName": "urgent"}}, "pods"),
        ({"additionalEngines": {"a": {**ANOTHER, "priorityClassName": "urgent"}}}, "pods"),
        ({"additionalEngines": {"a": {**ANOTHER, "tolerations": [{"operator": "Exists"}]}}}, "pods"),
        ({"embeddingEngine": {"model": {"source": "hf://org/e"}, "podAnnotations": {"a": "b"}}}, "pods"),
    ],
    ids=[
        *("load balancer", "node port", "annotation", "toleration", "every taint", "label", "pod's", "priority"),
        *("priority for embeddings", "priority for another", "taint for another", "annotation for embeddings"),
    ],
)
async def test_what_takes_a_right_needs_it(
    kubernetes: Kubernetes, author: Kubernetes, place: str, spec: Object, needs: str
) -> None:
    assert f"right to create {needs}" in await refusal(author, place, spec)
    with pytest.raises(ApiError, match=f"right to create {needs}"):  # the other way to create
        await author.apply(service(place, spec), AUTHOR)
    await grant(kubernetes, place, right(needs, "create"))
    await accepted(author, place, spec)


async def stalled(kubernetes: Kubernetes, key: Key, reason: str) -> str:
    """What the status says once it says that a person must act."""

    async def says_so() -> bool:
        return (await kubernetes.conditions(key)).get("Stalled", {}).get("reason") == reason

    await eventually(says_so)
    conditions = await kubernetes.conditions(key)
    assert (conditions["Ready"]["status"], conditions["Stalled"]["status"]) == ("False", "True")
    return str(conditions["Ready"]["message"])


async def serving(kubernetes: Kubernetes, key: Key) -> None:
    """The operator has looked at the newest spec, and made what it asks for."""

    async def is_made() -> bool:
        service = await kubernetes.get(LLM_SERVICE, *key)
        assert service
        if service["status"]["observedGeneration"] != service["metadata"]["generation"]:
            return False
        deployments = {("Deployment", f"{key.name}-{tier}") for tier in ("engine", "orchestrator")}
        stalled = (await kubernetes.conditions(key))["Stalled"]["status"] == "True"
        return not stalled and deployments <= (await children(kubernetes, key)).keys()

    await eventually(is_made)


async def children(kubernetes: Kubernetes, key: Key) -> dict[tuple[str, str], Object]:
    found = {(item["kind"], item["metadata"]["name"]): item for item in await kubernetes.objects(key)}
    return {name: item for name, item in found.items() if name[0] != "LLMService"}


BEYOND: dict[str, tuple[Object, str]] = {
    "every taint": ({"engine": {"tolerations": [{"operator": "Exists"}]}}, "spec.engine.tolerations.0"),
    "control plane": (
        {"orchestrator": {"tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]}},
        "spec.orchestrator.tolerations.0",
    ),
    "another engine's key as variable": (
        {"engine": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "other-engine-key", "key": "k"}}}]}},
        "spec.engine.env.0",
    ),
    "another engine's key as file": (
        {"orchestrator": {"config": {"keys": {"files": [{"secretName": "other-engine-key"}]}}}},
        "spec.orchestrator.config.keys.files.0",
    ),
}


class TestWithoutAWord:
    """What nobody gets, whatever rights they have, unless the operator's chart is told so."""

    @pytest.mark.parametrize(("spec", "field"), BEYOND.values(), ids=BEYOND)
    async def test_it_is_not_made(
        self, kubernetes: Kubernetes, author: Kubernetes, watched: str, spec: Object, field: str
    ) -> None:
        await grant(kubernetes, watched, *EDITOR)
        await accepted(author, watched, spec)
        key = await author.serve(watched, **spec)
        assert field in await stalled(kubernetes, key, "NotAllowed")
        assert await children(kubernetes, key) == {}

    async def test_what_runs_is_left_and_what_is_put_right_is_made(
        self, kubernetes: Kubernetes, author: Kubernetes, watched: str
    ) -> None:
        await grant(kubernetes, watched, *EDITOR)
        spec = {"engine": {"tolerations": [{"operator": "Exists"}], "maxNumSeqs": 7}}
        await accepted(author, watched, spec)
        key = await author.serve(watched)
        await serving(kubernetes, key)
        before = await children(kubernetes, key)
        await author.edit(LLM_SERVICE, key, "demo", {"spec": spec})
        await stalled(kubernetes, key, "NotAllowed")
        assert await children(kubernetes, key) == before
        await author.edit(LLM_SERVICE, key, "demo", {"spec": {"engine": {"tolerations": []}}})

        async def is_changed() -> bool:
            deployment = (await children(kubernetes, key))["Deployment", "demo-engine"]
            return "--max-num-seqs=7" in deployment["spec"]["template"]["spec"]["containers"][0]["args"]

        await eventually(is_changed)

    async def test_there_is_always_room_for_what_is_said(
        self, kubernetes: Kubernetes, author: Kubernetes, watched: str
    ) -> None:
        await grant(kubernetes, watched, *EDITOR)
        key = f"node-role.kubernetes.io/{'x' * 290}"
        spec: Object = {tier: {"tolerations": [{"key": key}] * 32} for tier in ("engine", "orchestrator")}
        names = [
            {"name": f"V{i}", "valueFrom": {"secretKeyRef": {"name": f"{i}-{'s' * 200}-engine-key", "key": "k"}}}
            for i in range(64)
        ]
        spec["engine"]["env"] = names
        await accepted(author, watched, spec)
        assert "spec.engine" in await stalled(kubernetes, await author.serve(watched, **spec), "NotAllowed")


NARROW = {
    "secrets": {"names": ["llm-*"]},
    "serviceTypes": ["ClusterIP"],
    "serviceAnnotations": ["lb.example.com/*"],
    "tolerations": ["gpu"],
    "podLabels": ["team"],
    "podAnnotations": [],
    "priorityClassNames": ["llm"],
}
NARROWED: dict[str, tuple[Object, str]] = {
    "secret": ({"model": {**MODEL, "credentials": {"secretName": "admin"}}}, "spec.model.credentials"),
    "pull secret": ({"engine": {"imagePullSecrets": [{"name": "admin"}]}}, "spec.engine.imagePullSecrets.0"),
    "load balancer": ({"networking": {"service": {"type": "LoadBalancer"}}}, "spec.networking.service.type"),
    "annotation": ({"networking": {"service": {"annotations": {"a.example.com/b": "c"}}}}, "spec.networking.service"),
    "label": ({"engine": {"podLabels": {"app": "payments"}}}, "spec.engine.podLabels"),
    "pod annotation": ({"orchestrator": {"podAnnotations": {"a": "b"}}}, "spec.orchestrator.podAnnotations"),
    "priority": ({"engine": {"priorityClassName": "urgent"}}, "spec.engine.priorityClassName"),
    "toleration": ({"engine": {"tolerations": [{"key": "spot", "operator": "Exists"}]}}, "spec.engine.tolerations.0"),
}
WITHIN: Object = {
    "model": {**MODEL, "credentials": {"secretName": "llm-hub"}},
    "networking": {"service": {"annotations": {"lb.example.com/a": "b"}}},
    "engine": {
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "podLabels": {"team": "a"},
        "priorityClassName": "llm",
    },
}


class TestAPlatformsWord:
    """What the operator's chart says holds for everybody, with the policy or without."""

    async def test_it_narrows(
        self, kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        namespace = await kubernetes.namespace("narrow")
        monkeypatch.setenv(VARIABLE, json.dumps(NARROW))
        with running_operator(control_plane, tmp_path / "log", namespace):
            within = await kubernetes.serve(namespace, **WITHIN)
            for name, (spec, field) in NARROWED.items():
                beyond = await kubernetes.serve(namespace, name.replace(" ", "-"), **spec)
                assert field in await stalled(kubernetes, beyond, "NotAllowed")
                assert await children(kubernetes, beyond) == {}
            await serving(kubernetes, within)

    async def test_a_secret_gains_and_loses_its_label(
        self, kubernetes: Kubernetes, control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        namespace = await kubernetes.namespace("labelled")
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub", "namespace": namespace}}
        await kubernetes.create(secret)
        monkeypatch.setenv(VARIABLE, json.dumps({"secrets": {"selector": "example.com/llm=allowed"}}))
        with running_operator(control_plane, tmp_path / "log", namespace, "--resync-seconds=0.5"):
            key = await kubernetes.serve(namespace, model={**MODEL, "credentials": {"secretName": "hub"}})
            assert "example.com/llm=allowed" in await stalled(kubernetes, key, "NotAllowed")
            assert await children(kubernetes, key) == {}
            for label in ("allowed", None):
                await kubernetes.edit(SECRET, key, "hub", {"metadata": {"labels": {"example.com/llm": label}}})
                await (serving(kubernetes, key) if label else stalled(kubernetes, key, "NotAllowed"))


class TestWhoseItIs:
    """Names and labels of others are no way to what they have."""

    async def test_an_account_with_a_cloud_role(self, kubernetes: Kubernetes, author: Kubernetes, watched: str) -> None:
        role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/admin"}
        head = {"name": "rules-engine", "namespace": watched, "annotations": role}
        await kubernetes.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": head})
        key = await author.serve(watched, "rules")
        await stalled(kubernetes, key, "NameTaken")
        assert ("Deployment", "rules-engine") not in await children(kubernetes, key)

    async def test_a_config_map_of_others(self, kubernetes: Kubernetes, author: Kubernetes, watched: str) -> None:
        head = {"name": "rules-orchestrator", "namespace": watched}
        theirs = {"config.yaml": "theirs"}
        await kubernetes.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": theirs})
        key = await author.serve(watched, "rules")
        await stalled(kubernetes, key, "NameTaken")
        assert ("Deployment", "rules-orchestrator") not in await children(kubernetes, key)
        config = await kubernetes.get(by_kind("ConfigMap"), watched, "rules-orchestrator")
        assert config
        assert config["data"] == theirs

    @pytest.mark.parametrize("name", ["bank-engine", "bank-engine-pods"])
    async def test_a_name_of_anothers_child(
        self, kubernetes: Kubernetes, author: Kubernetes, watched: str, name: str
    ) -> None:
        victim = await kubernetes.serve(watched, "bank")
        await serving(kubernetes, victim)
        before = (await children(kubernetes, victim))["Service", name]
        assert f"Service {name}" in await stalled(kubernetes, await author.serve(watched, name), "NameTaken")
        after = (await children(kubernetes, victim))["Service", name]
        assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])

    @pytest.mark.parametrize("name", ["bank-engine", "bank-engine-pods"])
    async def test_a_name_before_another_needs_it(
        self, kubernetes: Kubernetes, author: Kubernetes, watched: str, name: str
    ) -> None:
        await serving(kubernetes, await author.serve(watched, name))
        victim = await kubernetes.serve(watched, "bank")
        assert f"Service {name}" in await stalled(kubernetes, victim, "NameTaken")
        # Its orchestrator would send prompts and the engine's key to pods of the author's.
        assert ("Deployment", "bank-orchestrator") not in await children(kubernetes, victim)

    async def test_metadata_that_says_it_is_anothers(
        self, kubernetes: Kubernetes, author: Kubernetes, watched: str
    ) -> None:
        victim = await kubernetes.serve(watched, "bank")
        await serving(kubernetes, victim)
        before = await children(kubernetes, victim)
        found = await kubernetes.get(LLM_SERVICE, *victim)
        assert found
        owner = {"apiVersion": found["apiVersion"], "kind": found["kind"], "name": "bank"}
        claims = {
            "labels": {"tandem.dev/llmservice": "bank", "tandem.dev/tier": "engine"},
            "ownerReferences": [{**owner, "uid": found["metadata"]["uid"], "controller": True}],
            "finalizers": ["example.com/stay"],
        }
        key = Key(watched, "demo")
        await author.create(service(watched, {"engine": {"image": "mine"}}, **claims))
        await serving(kubernetes, key)
        await author._request("DELETE", LLM_SERVICE.path(*key))
        await author.edit(LLM_SERVICE, key, "demo", {"metadata": {"finalizers": []}})
        await serving(kubernetes, victim)
        after = await children(kubernetes, victim)
        assert after["Deployment", "bank-engine"]["spec"] == before["Deployment", "bank-engine"]["spec"]

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/v1/namespaces/{}/secrets"),
            ("GET", "/api/v1/namespaces/{}/secrets/demo-engine-key"),
            ("POST", "/api/v1/namespaces/{}/pods"),
            ("POST", "/apis/apps/v1/namespaces/{}/deployments"),
            ("POST", "/api/v1/namespaces/{}/serviceaccounts/demo-engine/token"),
            ("DELETE", "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/demo-engine"),
            ("PATCH", "/apis/tandem.dev/v1alpha1/namespaces/{}/llmservices/demo/status"),
            ("POST", "/apis/tandem.dev/v1alpha1/namespaces/default/llmservices"),
            ("GET", "/apis/tandem.dev/v1alpha1/llmservices"),
        ],
    )
    async def test_the_role_has_nothing_else(self, author: Kubernetes, place: str, method: str, path: str) -> None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        body = None if method == "GET" else service("default", {})
        with pytest.raises(ApiError) as refused:
            await author._request(method, path.format(place), None, body, kind)
        assert refused.value.status == 403

    async def test_a_status_cannot_be_brought_along(self, author: Kubernetes, place: str) -> None:
        told = {"url": "http://evil", "observedGeneration": 1}
        await author.create({**service(place, {}), "status": told})
        found = await author.get(LLM_SERVICE, place, "demo")
        assert found
        assert (found["status"].get("url"), found["status"]["observedGeneration"]) == (None, -1)


PRIVILEGES = {
    "serviceAccountName": "admin",
    "hostNetwork": True,
    "hostPID": True,
    "nodeName": "control-plane",
    "automountServiceAccountToken": True,
    "volumes": [{"name": "root", "hostPath": {"path": "/"}}],
    "securityContext": {"privileged": True, "allowPrivilegeEscalation": True},
    "initContainers": [{"name": "mine", "image": "mine"}],
}


async def test_privileges_have_no_field(kubernetes: Kubernetes, author: Kubernetes, watched: str) -> None:
    key = await author.serve(watched)
    await serving(kubernetes, key)
    before = await children(kubernetes, key)
    for tier in ("engine", "orchestrator"):
        await author.edit(LLM_SERVICE, key, "demo", {"spec": {tier: PRIVILEGES, "serviceAccountName": "admin"}})
    await author.edit(LLM_SERVICE, key, "demo", {"spec": {"engine": {"maxNumSeqs": 7}}})
    await serving(kubernetes, key)
    after = await children(kubernetes, key)
    for name in (("Deployment", "demo-engine"), ("Deployment", "demo-orchestrator")):
        pods, plain = (found[name]["spec"]["template"]["spec"] for found in (after, before))
        assert {**pods, "containers": []} == {**plain, "containers": []}
        assert pods["containers"][0]["securityContext"] == plain["containers"][0]["securityContext"]


async def looked_at(kubernetes: Kubernetes, key: Key) -> Object:
    """The condition Ready, once the operator has said how the newest spec is; that it cannot look is no answer."""

    async def is_judged() -> bool:
        found = await kubernetes.get(LLM_SERVICE, *key)
        assert found
        fresh = found["status"]["observedGeneration"] == found["metadata"]["generation"]
        return fresh and (await kubernetes.conditions(key))["Ready"]["status"] != "Unknown"

    await eventually(is_judged)
    return (await kubernetes.conditions(key))["Ready"]


DEEP = {
    "affinity": '"engine": {"affinity": %s}',
    "form": '"engine": {"affinity": {"podAffinity": %s}}',
    "tool": '"orchestrator": {"config": {"tools": {"http": [{"name": "a", "url": "http://a", "parameters": %s}]}}}',
    "model": '"orchestrator": {"config": {"models": [{"name": "a", "target": "b", "defaults": %s}]}}',
}


def nested(depth: int) -> str:
    return '{"not":' * depth + "{}" + "}" * depth


async def kubectl(kubeconfig: Path, *arguments: str, text: str = "") -> str | None:
    """Run kubectl, which does not mind how deep a document is, and return what it says; None where it fails."""
    argv = [str(tools.executable("kubectl")), f"--kubeconfig={kubeconfig}", *arguments]
    result = await asyncio.to_thread(subprocess.run, argv, input=text.encode(), capture_output=True, check=False)
    return None if result.returncode else result.stdout.decode()


class TestTheOperator:
    """Nothing that an author writes ends the operator, or hides from the author how the service is."""

    @pytest.mark.parametrize("depth", [60, 600, 1200, 9000])
    async def test_what_is_nested(
        self, kubernetes: Kubernetes, control_plane: ControlPlane, author: Kubernetes, tmp_path: Path, depth: int
    ) -> None:
        namespace = await a_namespace(kubernetes, author, "deep")
        run = partial(kubectl, control_plane.client(AUTHOR, AUTHOR))
        path = '{.status.conditions[?(@.type=="Ready")].status}'
        with running_operator(control_plane, tmp_path / "log", namespace):
            try:
                for name, form in DEEP.items():
                    head = json.dumps(service(namespace, {}, name=name)).removesuffix("}}")
                    text = f"{head}, {form % nested(depth)}}}}}"
                    stored = await run("create", "--validate=false", "-f-", text=text)

                    async def is_judged(name: str = name) -> bool:
                        get = ("get", "llm", name, f"--namespace={namespace}", f"--output=jsonpath={path}")
                        return await run(*get) in ("True", "False")

                    if stored:
                        await eventually(is_judged)
                await serving(kubernetes, await author.serve(namespace, "other"))
            finally:  # others could not read a list with them
                assert await run("delete", "llm", "--all", f"--namespace={namespace}")

    @pytest.mark.parametrize("amount", ["10000P", "1e9", "1e400", "9" * 64, "9" * 400, "0.0000000001n", "1E", ".5Ki"])
    async def test_quantities(self, kubernetes: Kubernetes, author: Kubernetes, watched: str, amount: str) -> None:
        spec: Object = {"engine": {"resources": {"requests": {"memory": amount}}, "sharedMemory": amount}}
        if not await refusal(author, watched, spec):
            await looked_at(kubernetes, await author.serve(watched, **spec))
        await serving(kubernetes, await author.serve(watched, "other"))

    async def test_a_node_gives_up_what_an_author_made(
        self, kubernetes: Kubernetes, author: Kubernetes, watched: str
    ) -> None:
        key = await author.serve(watched)
        await serving(kubernetes, key)
        text = "postgresql://admin:hunter2@db " + "x" * 40_000
        pod = named("demo-engine-0", (await children(kubernetes, key))["Deployment", "demo-engine"])
        pod["metadata"]["namespace"] = watched
        await kubernetes.create({"apiVersion": "v1", "kind": "Pod", **pod})
        failed = {"phase": "Failed", "reason": "OutOfnvidia.com/gpu", "message": text}
        await kubernetes.edit(by_kind("Pod"), key, "demo-engine-0", {"status": failed}, "status")

        async def is_told() -> bool:
            return "demo-engine-0" in (await looked_at(kubernetes, key))["message"]

        await eventually(is_told)
        assert "hunter2" not in json.dumps(await kubernetes.get(LLM_SERVICE, *key))

    async def test_a_pod_sends_the_operator_elsewhere(
        self, kubernetes: Kubernetes, control_plane: ControlPlane, author: Kubernetes, tmp_path: Path
    ) -> None:
        namespace = await a_namespace(kubernetes, author, "asked")
        async with PodServer() as own, Service() as inner:
            own.says["/ready"] = inner.says["/ready"] = Says({"status": "ready", "degraded": []})
            with running_operator(control_plane, tmp_path / "log", namespace, "--resync-seconds=0.5"):
                key = await author.serve(namespace, orchestrator=listening_at(own.port))
                await serving(kubernetes, key)
                deployment = (await children(kubernetes, key))["Deployment", "demo-orchestrator"]
                stranger = named("stranger", deployment)
                probe = stranger["spec"]["containers"][0]["readinessProbe"]["httpGet"]
                probe["path"] = f"@127.0.0.1:{inner.port}/ready"
                await ready_pod(kubernetes, key, stranger)
                await made_by_its_deployment(kubernetes, key)
                await asked_again(own)
                assert inner.asked == []


@pytest.mark.parametrize(
    "argument",
    [
        *(
            "--api-key=x",
            "--api_key=x",
            "--api-k=x",
            "--served_model_name=x",
            "--tensor_parallel_size=2",
            "-tp",
            "-tp=2",
        ),
        *("--config=/tmp/x", "--config", "--api-key\n", "--api-key=x\n", "--host", "--port=1", "--model=x", "--uds=/x"),
    ],
)
async def test_arguments_that_are_the_operators(author: Kubernetes, place: str, argument: str) -> None:
    assert "extraArgs" in await refusal(author, place, {"engine": {"extraArgs": [argument]}})


@pytest.mark.parametrize(
    "name", ["TANDEM_UPSTREAMS__0__URL", "TANDEM_DATABASE__URL", "tandem_database__url", "vllm_url"]
)
async def test_variables_that_are_the_operators(author: Kubernetes, place: str, name: str) -> None:
    spec = {"orchestrator": {"env": [{"name": name, "value": "sqlite:////tmp/mine"}]}}
    assert "env" in await refusal(author, place, spec)
