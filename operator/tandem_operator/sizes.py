"""The sizes of a service's engines: what is to be looked up for them is, and the Jobs are made that look at models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from tandem_operator.api.component import EngineComponent, Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.kube.accelerators import Accelerators
from tandem_operator.kube.api import Api
from tandem_operator.kube.children import Children
from tandem_operator.kube.resources import SECRET, Object, controlled_by
from tandem_operator.kube.store import Key, Store
from tandem_operator.manifests import Platform
from tandem_operator.manifests.attempts import ended, last_words, next_attempt
from tandem_operator.manifests.engine import inspection
from tandem_operator.sizing.asked import is_sized, is_stated, told_shape
from tandem_operator.sizing.decision import Decision, Evidence, decide, resting
from tandem_operator.sizing.nodes import NodeGpus
from tandem_operator.sizing.record import former
from tandem_operator.sizing.shape import ModelShape
from tandem_operator.status import quoted
from tandem_operator.status.pods import PodView, diagnose


@dataclass(frozen=True)
class Sizes:
    """Decides for the engines of one service."""

    api: Api
    store: Store
    accelerators: Accelerators
    children: Children
    platform: Platform

    async def decide(self, service: LLMService) -> dict[str, Decision]:
        """Return what each engine gets that is sized, by its tier; a Job is made where its model is to be looked at.

        ApiError, NameTakenError: something could not be read or made.
        """
        return {each.tier: await self._decide(service, each) for each in service.engines if is_sized(each)}

    async def _decide(self, service: LLMService, component: EngineComponent) -> Decision:
        key = Key(service.namespace, service.name)
        deployment = self.store.children(key).get(Reference("Deployment", component.name))
        evidence = Evidence(deployment, told_shape(component), nodes=await self._nodes(component, deployment))
        decision = decide(component, evidence)
        if service.spec.suspend and deployment and decision.spec is None:
            return resting(component, deployment)
        if not decision.waits_for_files:
            return decision
        return decide(component, await self._look(service, component, evidence))

    async def _nodes(self, component: EngineComponent, deployment: Object | None) -> Sequence[NodeGpus]:
        """Return the accelerators that a decision may go by; it is made once."""
        if former(deployment, component) and not is_stated(component):
            return ()
        return await self.accelerators.find(component.spec.accelerator, component.spec.node_selector)

    async def _look(self, service: LLMService, component: EngineComponent, evidence: Evidence) -> Evidence:
        """Return the evidence with what the Job has found, or why it has found nothing."""
        secret = await self._secret_version(component, service.namespace)
        if secret is None and (credentials := component.model.credentials):
            return replace(evidence, problem=f"there is no Secret {credentials.secret_name}")
        job = inspection.build(service, component, self.platform)
        live = await self.children.find(job)
        pods = _made_by(live, self.store.pods(Key(service.namespace, service.name))) if live else []
        unread = live and ended(live, "Complete") and not pods  # they were cleaned up before
        if attempt := next_attempt(job, None if unread else live, secret or "", datetime.now(UTC)):
            await self.children.make(attempt, live)
            return evidence
        return _with_findings(evidence, pods, live)

    async def _secret_version(self, component: EngineComponent, namespace: str) -> str | None:
        """Return the version of the Secret that opens the model; None without one."""
        if component.model.credentials is None:
            return None
        found = await self.api.get(SECRET, namespace, component.model.credentials.secret_name)
        return str(found["metadata"]["resourceVersion"]) if found else None


def _made_by(job: Object, pods: Iterable[Object]) -> list[Object]:
    """Return the pods of this very Job, the newest last: others may bear its name in their labels."""
    found = [pod for pod in pods if controlled_by(pod, job["metadata"]["uid"])]
    return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))


def _with_findings(evidence: Evidence, pods: Sequence[Mapping[str, Any]], job: Object | None) -> Evidence:
    said = inspection.said(pods)
    if shape := _shape(said.get("shape")):
        return replace(evidence, shape=shape)
    if job is None or ended(job, "Failed") is None:
        waits = [finding.message for pod in pods if (finding := diagnose(PodView(pod, datetime.now(UTC))))]
        return replace(evidence, held_up=waits[-1] if waits else None)
    problem = str(said.get("problem") or last_words(job) or "its Job failed without a word")
    return replace(evidence, problem=quoted(problem))


def _shape(said: object) -> ModelShape | None:
    try:
        return ModelShape.model_validate(said)
    except ValidationError:
        return None
