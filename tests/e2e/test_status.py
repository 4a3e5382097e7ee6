"""A service that cannot run says why within a minute, in its conditions and its events."""

from tests.e2e.cluster import Json, Namespace, eventually

MINUTE = 60


def llmservice(engine: Json, orchestrator: Json | None = None) -> Json:
    return {
        "apiVersion": "tandem.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": "broken"},
        "spec": {"model": {"source": "hf://org/name"}, "engine": engine, "orchestrator": orchestrator or {}},
    }


def finding(namespace: Namespace, reason: str, condition: str = "EngineReady") -> Json:
    """A condition, once it is false for `reason`."""

    def probe() -> Json | None:
        found = namespace.condition("broken", condition)
        return found if found.get("reason") == reason else None

    return eventually(probe, within=MINUTE, what=f"{condition} has the reason {reason}")


def test_an_image_that_does_not_exist(namespace: Namespace) -> None:
    tiny = {"requests": {"cpu": "10m", "memory": "16Mi"}}
    namespace.apply(llmservice({"image": "tandem.local/nowhere:1", "accelerator": "cpu", "resources": tiny}))
    assert "tandem.local/nowhere:1" in finding(namespace, "ImagePullBackOff")["message"]
    assert namespace.condition("broken", "Ready")["status"] == "False"
    eventually(
        lambda: "ImagePullBackOff" in namespace.kubectl("describe", "llm", "broken"),
        within=MINUTE,
        what="describe shows the reason",
    )


def test_more_gpus_than_there_are(namespace: Namespace) -> None:
    namespace.apply(llmservice({"gpus": 64}))
    assert "nvidia.com/gpu" in finding(namespace, "Unschedulable")["message"]
    assert namespace.condition("broken", "Ready")["status"] == "False"


def test_a_secret_that_does_not_exist(namespace: Namespace) -> None:
    nowhere = {"image": "tandem.local/nowhere:1", "accelerator": "cpu"}
    keys = {"files": [{"secretName": "team-keys", "secretKey": "keys.yaml"}]}
    namespace.apply(llmservice(nowhere, {"config": {"keys": keys}}))
    assert "team-keys" in finding(namespace, "SecretMissing", "OrchestratorReady")["message"]
    namespace.kubectl("create", "secret", "generic", "team-keys", "--from-literal=other=x")
    eventually(
        lambda: "no key keys.yaml" in namespace.condition("broken", "OrchestratorReady").get("message", ""),
        within=2 * MINUTE,  # the operator looks at everything again once a minute
        what="the condition names the key",
    )
