"""Text of any kind in a spec reaches the objects that are made of it."""

from tandem_operator.api.component import Tier

from tests.integration.cluster import Kubernetes, by_kind

TEXT = '{# 🙈 \x7f \x85 \x9f \u2028 \u2029 \ufeff \ufffe \\ud83d\\ude48 " \\ é #}\n{{ messages }}'


async def test_text_of_any_kind_reaches_the_children(kubernetes: Kubernetes, namespace: str) -> None:
    key = await kubernetes.serve(
        namespace,
        engine={"toolCalling": {"chatTemplate": TEXT}, "env": [{"name": "A", "value": TEXT}]},
    )
    await kubernetes.reconcile(key)
    template = await kubernetes.get(by_kind("ConfigMap"), namespace, f"demo-{Tier.ENGINE}")
    assert template
    assert list(template["data"].values()) == [TEXT]
    engine = await kubernetes.get(by_kind("Deployment"), namespace, f"demo-{Tier.ENGINE}")
    assert engine
    (container,) = engine["spec"]["template"]["spec"]["containers"]
    assert {"name": "A", "value": TEXT} in container["env"]
    assert await kubernetes.reconcile(key) == []
