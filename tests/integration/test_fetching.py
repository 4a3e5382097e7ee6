"""Models that are fetched first, on a real API server: what runs goes on, and what is there is not asked for again."""

from typing import Any

import pytest
from tandem_operator.api.fetch_progress import PORT
from tandem_operator.kube.fetchers import fetchers
from tandem_operator.kube.resources import CLAIM, CONFIG_MAP, JOB, LLM_SERVICE, POD, SECRET, Object
from tandem_operator.kube.store import Key, Store

from tests.integration.cluster import KilledError, Kubernetes, by_kind
from tests.integration.jobs import LONG_AGO, delete, job_ends, jobs, pod_ends, the_job
from tests.integration.pods import owner
from tests.integration.test_status_truth import ready, scale

DEPLOYMENT = by_kind("Deployment")
FETCHED = "tandem.dev/fetched"
MODEL: Object = {"source": "hf://org/model@v1", "cache": {"claimName": "models"}}


async def engine(kubernetes: Kubernetes, key: Key, tier: str = "engine") -> Object | None:
    return await kubernetes.get(DEPLOYMENT, key.namespace, f"{key.name}-{tier}")


async def config(kubernetes: Kubernetes, key: Key) -> Any:
    found = await kubernetes.get(CONFIG_MAP, key.namespace, f"{key.name}-orchestrator")
    return found and found["data"]


async def served(kubernetes: Kubernetes, namespace: str, name: str = "demo", **spec: Any) -> Key:
    spec = {"model": MODEL, "engine": {"gpus": 1}, **spec}
    key = await kubernetes.serve(namespace, name, **spec)
    await kubernetes.reconcile(key)
    return key


async def rolled_out(kubernetes: Kubernetes, namespace: str, **spec: Any) -> Key:
    key = await served(kubernetes, namespace, **spec)
    await job_ends(kubernetes, key, await the_job(kubernetes, key, "fetch"), "Complete")
    await kubernetes.reconcile(key)
    assert await engine(kubernetes, key)
    return key


async def change(kubernetes: Kubernetes, key: Key, **spec: Any) -> list[str]:
    await kubernetes.edit(LLM_SERVICE, key, key.name, {"spec": spec})
    return await kubernetes.reconcile(key)


async def test_an_engine_comes_once_its_model_is_there(kubernetes: Kubernetes, namespace: str) -> None:
    model = {"source": "hf://org/model@v1", "cache": {"claim": {"size": "10Gi"}}}
    key = await served(kubernetes, namespace, model=model)
    assert await kubernetes.get(CLAIM, namespace, "demo-engine-models")
    assert await engine(kubernetes, key) is None
    assert await engine(kubernetes, key, "orchestrator"), "there is nothing that it could break"
    assert await ready(kubernetes, key) == ("False", "Fetching")
    assert await kubernetes.reconcile(key) == [], "one Job is enough"
    job = await the_job(kubernetes, key, "fetch")
    await job_ends(kubernetes, key, job, "Complete")
    await kubernetes.reconcile(key)
    found = await engine(kubernetes, key)
    assert found
    assert found["metadata"]["annotations"][FETCHED].startswith("hf://org/model@v1 demo-engine-models/")
    assert await kubernetes.reconcile(key) == []
    await delete(kubernetes, key, JOB, job["metadata"]["name"])
    assert await kubernetes.reconcile(key) == [], "what it has done is known"


async def test_what_runs_is_untouched_until_another_model_is_there(kubernetes: Kubernetes, namespace: str) -> None:
    key = await rolled_out(kubernetes, namespace)
    before = [
        await config(kubernetes, key),
        *[await engine(kubernetes, key, tier) for tier in ("engine", "orchestrator")],
    ]
    await change(kubernetes, key, model={"source": "hf://org/model@v2"}, orchestrator={"image": "two:2"})
    job = await the_job(kubernetes, key, "fetch")
    assert "hf://org/model@v2" in str(job["spec"])
    tiers = ("engine", "orchestrator")
    assert [await config(kubernetes, key), *[await engine(kubernetes, key, tier) for tier in tiers]] == before
    assert await ready(kubernetes, key) == ("False", "Fetching")
    await job_ends(kubernetes, key, job, "Complete")
    await kubernetes.reconcile(key)
    found = await engine(kubernetes, key)
    assert found
    assert "/models/models/org--model/v2" in str(found["spec"])
    assert "two:2" in str(await engine(kubernetes, key, "orchestrator"))


async def test_other_changes_ask_the_hub_for_nothing(kubernetes: Kubernetes, namespace: str) -> None:
    key = await rolled_out(kubernetes, namespace)
    await delete(kubernetes, key, JOB, (await jobs(kubernetes, key))[0])
    mirror = [{"name": "HF_ENDPOINT", "value": "https://mirror.example"}]
    writes = await change(kubernetes, key, engine={"extraArgs": ["--seed=7"], "env": mirror})
    assert any("demo-engine" in write for write in writes)
    assert await jobs(kubernetes, key) == []


async def test_a_job_that_failed_says_why_and_is_made_anew_after_a_pause(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await served(kubernetes, namespace)
    job = await the_job(kubernetes, key, "fetch")
    said = {"reason": "RateLimited", "message": "the hub answers 429, and wants 60 s"}
    await pod_ends(kubernetes, key, job, said, code=1)
    await kubernetes.reconcile(key)
    assert "its last attempt: the hub answers 429" in (await kubernetes.conditions(key))["Ready"]["message"]
    await job_ends(kubernetes, key, job, "Failed")
    await kubernetes.reconcile(key)
    conditions = await kubernetes.conditions(key)
    assert (conditions["Ready"]["reason"], conditions["Stalled"]["status"]) == ("FetchFailed", "False")
    assert "could not fetch hf://org/model@v1: the hub answers 429, and wants 60 s" in conditions["Ready"]["message"]
    await job_ends(kubernetes, key, job, "Failed", at=LONG_AGO)
    await kubernetes.reconcile(key)
    again = await the_job(kubernetes, key, "fetch")
    assert again["metadata"]["uid"] != job["metadata"]["uid"]
    assert again["metadata"]["annotations"]["tandem.dev/attempt"] == "1"


async def test_a_gated_model_waits_for_its_secret_and_is_tried_at_once_with_another(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await served(kubernetes, namespace, model={**MODEL, "credentials": {"secretName": "hub"}})
    assert await ready(kubernetes, key) == ("False", "SecretMissing")
    assert await jobs(kubernetes, key) == []
    metadata = {"name": "hub", "namespace": namespace}
    await kubernetes.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"HF_TOKEN": "x"}}
    )
    await kubernetes.reconcile(key)
    job = await the_job(kubernetes, key, "fetch")
    await pod_ends(kubernetes, key, job, {"message": "org/model is gated"}, code=3)
    await job_ends(kubernetes, key, job, "Failed")
    await kubernetes.reconcile(key)
    assert (await kubernetes.conditions(key))["Stalled"]["status"] == "True"
    await kubernetes.edit(SECRET, key, "hub", {"stringData": {"HF_TOKEN": "y"}})
    await kubernetes.reconcile(key)
    assert (await the_job(kubernetes, key, "fetch"))["metadata"]["uid"] != job["metadata"]["uid"]


async def test_a_suspended_service_fetches_nothing_and_its_engine_waits_when_it_comes_back(
    kubernetes: Kubernetes, namespace: str
) -> None:
    async def replicas() -> int:
        found = await engine(kubernetes, key)
        assert found
        return int(found["spec"]["replicas"])

    key = await rolled_out(kubernetes, namespace)
    await change(kubernetes, key, model={"source": "hf://org/model@v2"}, suspend=True)
    assert (await replicas(), await jobs(kubernetes, key)) == (0, [])
    assert await ready(kubernetes, key) == ("False", "Suspended")
    assert await kubernetes.reconcile(key) == []
    await change(kubernetes, key, suspend=False)
    assert await replicas() == 0, "its model is not there yet"
    await job_ends(kubernetes, key, await the_job(kubernetes, key, "fetch"), "Complete")
    await kubernetes.reconcile(key)
    assert await replicas() == 1


async def remembered(kubernetes: Kubernetes, *keys: Key) -> Store:
    store = Store()
    for key in keys:
        for item in await kubernetes.objects(key):
            store.put(item)
    return store


async def test_two_services_share_a_claim_and_neither_lets_go_what_the_other_runs(
    kubernetes: Kubernetes, namespace: str
) -> None:
    cache = {"claimName": "models", "eviction": "WhenFull"}
    one = await rolled_out(kubernetes, namespace, model={"source": "hf://org/old", "cache": cache})
    await change(kubernetes, one, model={"source": "hf://org/new"})  # it runs the old one still
    two = await kubernetes.serve(
        namespace, "two", model={"source": "hf://org/second", "cache": cache}, engine={"gpus": 1}
    )
    store = await remembered(kubernetes, one, two)
    assert store.sources(namespace) == {"hf://org/old", "hf://org/new", "hf://org/second"}
    assert store.sources("elsewhere") == set()
    job = await the_job(kubernetes, one, "fetch")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][-3:] == ["--evict", "--keep=hf://org/new", "--keep=hf://org/old"]


@pytest.mark.parametrize("strategy", ["BlueGreen", "RollingUpdate"])
async def test_the_model_of_an_engine_that_serves_is_kept_until_another_does(
    kubernetes: Kubernetes, namespace: str, strategy: str
) -> None:
    model = {"name": "ours", "source": "hf://org/old", "cache": {"claimName": "models", "eviction": "WhenFull"}}
    key = await rolled_out(kubernetes, namespace, model=model, rollout={"strategy": strategy})
    await scale(kubernetes, key, "engine", 1)
    await kubernetes.reconcile(key)
    await change(kubernetes, key, model={"source": "hf://org/new"})
    await job_ends(kubernetes, key, await the_job(kubernetes, key, "fetch"), "Complete")
    await kubernetes.reconcile(key)
    both = {"hf://org/old", "hf://org/new"}
    assert (await remembered(kubernetes, key)).sources(namespace) == both
    if strategy == "RollingUpdate":
        await scale(kubernetes, key, "engine", 1)
        await kubernetes.reconcile(key)
        assert (await remembered(kubernetes, key)).sources(namespace) == {"hf://org/new"}
    else:
        assert await engine(kubernetes, key, "engine-next")
        await change(kubernetes, key, model={"source": "hf://org/old"})
        await job_ends(kubernetes, key, await the_job(kubernetes, key, "fetch"), "Complete")
        await kubernetes.reconcile(key)
        assert await engine(kubernetes, key, "engine-next") is None
        assert (await remembered(kubernetes, key)).sources(namespace) == {"hf://org/old"}


async def test_engines_of_one_service_may_share_claim_and_model(kubernetes: Kubernetes, namespace: str) -> None:
    additional = {"twin": {"model": {**MODEL, "name": "twin"}, "gpus": 1}}
    key = await served(kubernetes, namespace, additionalEngines=additional)
    one, two = sorted(await jobs(kubernetes, key))
    assert (one.startswith("demo-engine-fetch-"), two.startswith("demo-twin-fetch-")) == (True, True)
    await job_ends(kubernetes, key, await the_job(kubernetes, key, "twin-fetch"), "Complete")
    await kubernetes.reconcile(key)
    assert [bool(await engine(kubernetes, key, tier)) for tier in ("engine", "twin")] == [False, True]


async def test_an_operator_that_dies_between_job_and_deployment_goes_on(kubernetes: Kubernetes, namespace: str) -> None:
    key = await served(kubernetes, namespace)
    await job_ends(kubernetes, key, await the_job(kubernetes, key, "fetch"), "Complete")
    kubernetes.die_after = 1
    with pytest.raises(KilledError):
        await kubernetes.reconcile(key)
    kubernetes.die_after = None
    await kubernetes.reconcile(key)
    assert await engine(kubernetes, key)
    assert await kubernetes.reconcile(key) == []


async def running(
    kubernetes: Kubernetes, key: Key, name: str, owners: Any, address: str = "192.0.2.7", **labels: str
) -> None:
    """A pod at an address that a Job might have made."""
    metadata = {
        "name": name,
        "namespace": key.namespace,
        "labels": {"tandem.dev/llmservice": key.name, "tandem.dev/tier": "fetch", **labels},
        "ownerReferences": owners,
    }
    spec = {"containers": [{"name": "fetch", "image": "x"}], "serviceAccountName": f"{key.name}-engine"}
    await kubernetes.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    await kubernetes.edit(POD, key, name, {"status": status}, "status")


async def test_only_pods_of_the_services_own_jobs_are_asked_how_far_they_are(
    kubernetes: Kubernetes, namespace: str
) -> None:
    key = await served(kubernetes, namespace)
    job = await the_job(kubernetes, key, "fetch")
    pods = {"restartPolicy": "Never", "containers": [{"name": "fetch", "image": "x"}]}
    labels = {"tandem.dev/llmservice": key.name}
    others: Object = {
        **{name: job[name] for name in ("apiVersion", "kind")},
        "metadata": {"name": "others", "namespace": namespace, "labels": labels},
        "spec": {"template": {"spec": pods}},
    }
    made = {**await kubernetes.create(others), "apiVersion": JOB.api_version, "kind": JOB.kind}
    await running(kubernetes, key, "ours", [owner(job)])
    await running(kubernetes, key, "of-nobody", [])
    await running(kubernetes, key, "of-anothers", [owner(made)])
    await running(kubernetes, key, "no-controller", [{**owner(job), "controller": False}])
    await running(kubernetes, key, "local", [owner(job)], "169.254.169.254")
    await running(kubernetes, key, "an-engine", [owner(job)], **{"tandem.dev/tier": "engine"})
    store = Store()
    for item in await kubernetes.objects(key):
        store.put(item)
    store.put(made)
    (asked,) = fetchers(store)[key]
    assert asked["metadata"]["name"] == "ours"
    assert asked["status"]["podIP"] == "192.0.2.7"
    assert job["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] == PORT
