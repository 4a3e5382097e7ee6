"""What runs in a cluster before anybody's workload: name service and metrics."""

from pathlib import Path
from string import Template
from typing import Final

from hack.cluster.kubectl import Kubectl
from hack.command import tail
from hack.failure import Failure

MANIFESTS: Final = Path(__file__).parent / "manifests"
NAMESPACE: Final = "kube-system"


def apply(kubectl: Kubectl, manifest: str, **values: str) -> None:
    """Apply one of the manifests in the folder `manifests`, with its `$names` replaced by `values`."""
    text = Template((MANIFESTS / f"{manifest}.yaml").read_text()).substitute(values)
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=tandem-hack", "-f", "-", text=text)


def wait(kubectl: Kubectl, deployment: str, seconds: int) -> None:
    """Return once a deployment of kube-system is available; Failure that shows its pods where it is not in time."""
    try:
        kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{deployment}", f"--timeout={seconds}s")
    except Failure as failure:
        pods = kubectl("-n", NAMESPACE, "get", "pods", "-o", "wide")
        events = kubectl("-n", NAMESPACE, "get", "events", "--field-selector=type=Warning", "--sort-by=.lastTimestamp")
        raise Failure(f"{failure}\n{pods}\n{tail(events, lines=5)}") from failure


def wait_for_metrics(kubectl: Kubectl, seconds: int) -> None:
    """Return once the API server reaches metrics-server: until then every discovery of the API complains."""
    wait(kubectl, "metrics-server", seconds)
    kubectl("wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", f"--timeout={seconds}s")
