"""The cluster under test, through kubectl, as its users reach it."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

POLL_SECONDS = 0.5

Json = dict[str, Any]
T = TypeVar("T")


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl; its output, or an AssertionError that carries what it printed."""
    result = subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"kubectl {' '.join(arguments)}: {result.stderr or result.stdout}"
    return result.stdout


def refused(text: str) -> str:
    """Apply a manifest that must be refused; returns what the API server says about it."""
    result = subprocess.run(["kubectl", "apply", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    assert result.returncode != 0, f"accepted: {text}"
    return result.stderr


def eventually[T](probe: Callable[[], T | None], *, within: float, what: str) -> T:
    """Ask until the answer is true-ish; fail with the last answer after `within` seconds."""
    deadline = time.monotonic() + within
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"not within {within:.0f} s: {what}; last seen: {answer!r}"
        time.sleep(POLL_SECONDS)
    return answer


@dataclass(frozen=True)
class Namespace:
    """One namespace and what is in it."""

    name: str

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return kubectl("--namespace", self.name, *arguments, text=text)

    def apply(self, *objects: Json) -> None:
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all(objects))

    def get(self, kind: str, name: str) -> Json | None:
        found = self.kubectl("get", kind, name, "--ignore-not-found", "--output=json")
        item: Json | None = json.loads(found) if found else None
        return item

    def change(self, service: str, spec: Json) -> None:
        """Merge fields into an LLMService's spec; None takes one away."""
        self.kubectl("patch", "llmservice", service, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    def pods(self, selector: str) -> list[Json]:
        """Those that stay; one that finishes what it has begun may take minutes."""
        found = json.loads(self.kubectl("get", "pods", f"--selector={selector}", "--output=json"))["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def names(self, kinds: str, selector: str) -> list[str]:
        """The kind/name of every object that a selector matches."""
        return self.kubectl("get", kinds, f"--selector={selector}", "--output=name").split()

    def condition(self, service: str, kind: str) -> Json:
        """A condition of an LLMService that is about its newest spec, or an empty one."""
        found = self.get("llmservice", service) or {}
        conditions: list[Json] = found.get("status", {}).get("conditions", [])
        current = (c for c in conditions if c["observedGeneration"] == found["metadata"]["generation"])
        return next((condition for condition in current if condition["type"] == kind), {})

    def is_ready(self, service: str) -> bool:
        return self.condition(service, "Ready").get("status") == "True"

    @contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """A URL on this machine that leads to `target`, for example service/demo."""
        argv = ["kubectl", "--namespace", self.name, "port-forward", target, f":{port}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
            try:
                assert process.stdout
                first = process.stdout.readline()
                assert first, f"port-forward to {target} ended"
                yield f"http://{first.split()[2]}"
            finally:
                process.terminate()


OPERATOR = Namespace("tandem-system")


@contextmanager
def operator_down() -> Iterator[None]:
    """No operator runs inside the block; at its end it is back."""
    OPERATOR.kubectl("scale", "deployment/tandem-operator", "--replicas=0")
    OPERATOR.kubectl(
        "wait", "--for=delete", "pod", "--selector=app.kubernetes.io/name=tandem-operator", "--timeout=60s"
    )
    try:
        yield
    finally:
        OPERATOR.kubectl("scale", "deployment/tandem-operator", "--replicas=1")
        OPERATOR.kubectl("rollout", "status", "deployment/tandem-operator", "--timeout=120s")
