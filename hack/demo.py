"""`make demo`: from nothing to a chat with a tool call, on this machine."""

import json
import shlex
import string
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hack import cache, images, install, tools
from hack.cluster import Cluster
from hack.cluster.kubectl import Kubectl
from hack.failure import Failure
from hack.hub import Hub, Model
from hack.progress import say, step

NAMESPACE: Final = "tandem-demo"
NAME: Final = "demo"
TEMPLATE: Final = Path(__file__).with_name("demo.yaml")
GIB: Final = 2**30
READY_SECONDS: Final = 1800
REQUEST_SECONDS: Final = 300

MATH_TOOL: Final = {
    "type": "function",
    "function": {
        "name": "calculate_math",
        "description": "Evaluate a mathematical expression",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string", "description": "For example 2 + 2"}},
            "required": ["expression"],
        },
    },
}


@dataclass(frozen=True)
class Service:
    """What the demo's LLMService serves, and the memory (GiB) that its engine asks for and may take."""

    source: str
    name: str
    dtype: str
    max_model_len: int
    memory_request: int
    memory_limit: int


def own_model() -> Service:
    """Return the project's own model, from an image: nothing is downloaded."""
    return Service(f"oci://{images.reference('demo-model')}", "tandem-demo", "float32", 1024, 3, 8)


def hub_model(model: Model) -> Service:
    """Return a model from Hugging Face; vLLM wants its weights plus about 4 GiB on a CPU."""
    weights = -(-model.weight_bytes // GIB)
    return Service(f"hf://{model.name}", model.name, "bfloat16", 4096, weights + 3, 2 * weights + 6)


def manifest(service: Service) -> str:
    """Return the LLMService as YAML."""
    return string.Template(TEMPLATE.read_text()).substitute(
        source=service.source,
        name=service.name,
        dtype=service.dtype,
        max_model_len=service.max_model_len,
        memory_request=f"{service.memory_request}Gi",
        memory_limit=f"{service.memory_limit}Gi",
    )


def run(cluster: Cluster, model: str | None) -> None:
    """Bring the demo up and talk to it; raises Failure with what went wrong."""
    service = hub_model(announced(Hub().model(model))) if model else own_model()
    names = [name for name in images.NAMES if name != "demo-model" or not model]
    with images.being_built(names):
        cluster.up()
    images.load(cluster, names)
    kubectl = Kubectl(cluster.kubeconfig, echo=True)
    install.operator(cluster.kubeconfig, echo=True)
    apply(kubectl, service)
    wait_ready(kubectl)
    with port_forward(kubectl) as url:
        ask(url, service.name, "Hello", temperature=0)
        say(look_around(kubectl))
        ask(url, service.name, "Calculate 123 * 456", tools=[MATH_TOOL], temperature=0)


def announced(model: Model) -> Model:
    """Say how much is to be downloaded and how long that and the start may take."""
    gib = model.weight_bytes / GIB
    say(f"{model.name}: {gib:.1f} GiB of weights; at 100 Mbit/s about {gib * 86 / 60:.0f} min to download,")
    say("then a minute or two until the engine is ready; a CPU answers slowly from 3 GiB on")
    return model


def apply(kubectl: Kubectl, service: Service) -> None:
    """Create the namespace and the LLMService."""
    file = cache.root() / "demo.yaml"
    file.write_text(manifest(service))
    if not kubectl.ok("get", "namespace", NAMESPACE):
        kubectl("create", "namespace", NAMESPACE)
        kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    kubectl("apply", "-n", NAMESPACE, "-f", file)


def wait_ready(kubectl: Kubectl) -> None:
    """Follow the conditions as they turn, until Ready."""
    seen: dict[str, str] = {}
    with step("waiting until the service is ready") as waiting:
        for generation, conditions in watch(kubectl):
            for text in turned(seen, conditions):
                say(f"  {text}")
            if is_ready(generation, conditions):
                waiting.result = "ready"
                return
            waiting.detail = seen.get("Ready", "")
        raise Failure(
            f"the service did not get ready in {READY_SECONDS // 60} minutes; ask it why:\n"
            f"  kubectl describe llm {NAME} -n {NAMESPACE}"
        )


def watch(kubectl: Kubectl) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield the service's generation and conditions at each change, for READY_SECONDS at most."""
    query = '{.metadata.generation} {.status.conditions}{"\\n"}'
    argv = kubectl.argv("get", "llm", NAME, "-n", NAMESPACE, "--watch", f"--output=jsonpath={query}")
    command = ["timeout", str(READY_SECONDS), *argv]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 # PIPE was asked for
            for line in process.stdout:
                generation, _, conditions = line.partition(" ")
                yield int(generation), json.loads(conditions.strip() or "[]")
        finally:
            process.terminate()


def turned(seen: dict[str, str], conditions: list[dict[str, Any]]) -> list[str]:
    """Return the conditions that differ from `seen`, which is brought up to date."""
    lines = []
    for condition in conditions:
        text = f"{condition['type']}={condition['status']} {condition['reason']}: {condition.get('message', '')}"
        if seen.get(condition["type"]) != text:
            seen[condition["type"]] = text
            lines.append(text)
    return lines


def is_ready(generation: int, conditions: list[dict[str, Any]]) -> bool:
    """Return whether Ready holds for the newest spec."""
    return any(
        c["type"] == "Ready" and c["status"] == "True" and c.get("observedGeneration") == generation for c in conditions
    )


@contextmanager
def port_forward(kubectl: Kubectl) -> Iterator[str]:
    """Reach the service's Service from here; yields its base URL."""
    arguments = ("port-forward", "-n", NAMESPACE, f"service/{NAME}", ":80")
    kubectl.show(*arguments)
    with subprocess.Popen(
        kubectl.argv(*arguments), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as forward:
        try:
            assert forward.stdout is not None  # noqa: S101 # PIPE was asked for
            first = forward.stdout.readline()  # Forwarding from 127.0.0.1:40123 -> 8001
            if not first:
                raise Failure(f"kubectl port-forward to service/{NAME} ended at once; see its error above")
            yield f"http://{first.split()[2]}"
        finally:
            forward.terminate()


def ask(url: str, model: str, question: str, **more: object) -> None:
    """Send one question through the Service, and print the command and the answer."""
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": question}], **more})
    endpoint = f"{url}/v1/chat/completions"
    print(f"\n$ curl -s {endpoint} -H 'Content-Type: application/json' -d {shlex.quote(body)}", flush=True)
    request = urllib.request.Request(endpoint, body.encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310 # our own Service
        answer = json.load(response)
    print(answer["choices"][0]["message"]["content"], flush=True)


def look_around(kubectl: Kubectl) -> str:
    """Return what a person can type next."""
    return f"""it runs, and stays. Look around:
  export KUBECONFIG={kubectl.kubeconfig} PATH={tools.ensure("kubectl")}:$PATH
  kubectl get llm,pods -n {NAMESPACE}
  kubectl describe llm {NAME} -n {NAMESPACE}
  kubectl port-forward -n {NAMESPACE} service/{NAME} 8080:80
Stop it and undo all changes to this machine:
  make down"""
