"""How far one tier is, and the model in it: from its Deployment and pods.

A policy finds one cause; the chains below say for what they are tried, and in which order.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from tandem_contract import names

from tandem_operator.api.component import CANDIDATE, Component, EngineComponent, Reference, Tier
from tandem_operator.api.external import ExternalSpec
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.pod import PodSettings
from tandem_operator.api.status import Condition, ConditionStatus, ConditionType, TierStatus
from tandem_operator.status.fetching import awaited_fetch
from tandem_operator.status.finding import Finding, Policy, first_finding
from tandem_operator.status.masking import masked, quoted
from tandem_operator.status.migration import awaited_migration
from tandem_operator.status.missing import missing_config_map, missing_secret
from tandem_operator.status.observed import Object, Observed, Problem
from tandem_operator.status.pods import ContainerView, PodView, diagnose, given_up, moment
from tandem_operator.status.stored import former_conditions, former_engine

_LONGEST_REFUSAL: Final = 4096
REACHED: Final = "Reached"
UNREACHABLE: Final = "EngineUnreachable"
"""Reasons that orchestrators give of an engine that somebody else runs."""


@dataclass(frozen=True)
class TierView:
    """A tier with what its policies need to know."""

    service: LLMService
    component: Component[Any]
    observed: Observed
    deployment: Object | None
    pods: list[PodView]
    """Its pods that are not on their way out, oldest first."""

    @property
    def tier(self) -> str:
        """Which one it is."""
        return self.component.tier

    @property
    def engine(self) -> EngineComponent | None:
        """The same as an engine, if it is one."""
        return self.component if isinstance(self.component, EngineComponent) else None

    @property
    def name(self) -> str:
        """The name of its Deployment, with which the names of its other children begin."""
        return self.component.name

    @cached_property
    def status(self) -> Object:
        """The status of its Deployment; empty while there is none."""
        return self.deployment.get("status", {}) if self.deployment else {}

    @property
    def counts(self) -> TierStatus:
        """How many pods there are."""
        return TierStatus(replicas=self.status.get("replicas", 0), ready_replicas=self.status.get("readyReplicas", 0))

    @property
    def wanted(self) -> int:
        """How many pods must serve; the autoscaler may ask for more, and only the fewest count."""
        if self.engine:
            return self.engine.spec.replicas
        return self.service.replicas(self.component).min

    @property
    def mains(self) -> list[tuple[PodView, ContainerView]]:
        """The pods that may run, with the container of each that is the tier."""
        return [(pod, main) for pod in self.pods if not pod.is_over and (main := pod.main)]

    @property
    def external(self) -> ExternalSpec | None:
        """Where it is, if it is an engine that somebody else runs."""
        return self.engine.spec.external if self.engine else None

    @property
    def url(self) -> str:
        """The same, for messages; empty if it is none."""
        return masked(self.external.url) if self.external else ""

    @cached_property
    def finding(self) -> Finding | None:
        """Why the tier does not serve; None when it does."""
        return first_finding(EXTERNAL if self.external else TIER, self)

    def condition(self, kind: str) -> Object:
        """Return one of its Deployment's conditions; empty if it has none of this kind."""
        conditions = self.status.get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})


def gather(service: LLMService, observed: Observed, component: Component[PodSettings]) -> TierView:
    """Gather what was observed of a tier."""
    deployment = observed.children.get(Reference("Deployment", component.name))
    pods = [
        pod
        for pod in observed.pods
        if pod["metadata"].get("labels", {}).get(names.LABEL_TIER) == component.tier
        and "deletionTimestamp" not in pod["metadata"]
    ]
    pods.sort(key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]))
    engine = component if isinstance(component, EngineComponent) else None
    return TierView(service, component, observed, deployment, [PodView(pod, observed.now, engine) for pod in pods])


def child_not_written(view: TierView) -> Finding | None:
    """Find a child of the tier that could not be brought to what is wanted."""
    for problem in view.observed.problems:
        if _concerns(view, problem):
            return Finding(problem.reason, problem.message, problem.terminal)
    return None


def _concerns(view: TierView, problem: Problem) -> bool:
    """Return whether it is of the tier, by the child's name: only the orchestrator's Service is without the tier's."""
    named = [each for each in view.service.components if problem.name.startswith(each.name)]
    tier = max(named, key=lambda each: len(each.name)).tier if named else Tier.ORCHESTRATOR
    told_elsewhere = problem.kind in ("PersistentVolumeClaim", "ServiceMonitor") or problem.degrades
    told_elsewhere |= problem.name.startswith(f"{view.service.name}-{CANDIDATE}")
    return tier == view.tier and not told_elsewhere


def held_back(view: TierView) -> Finding | None:
    """Find that a Deployment is left as it is until the database is migrated, or the model fetched."""
    if view.engine:
        return awaited_fetch(view.engine, view.observed)
    return awaited_migration(view.service, view.observed)


def not_created(view: TierView) -> Finding | None:
    """Find that there is no Deployment yet."""
    return None if view.deployment else Finding("Creating", f"Deployment {view.name} is being created")


def scaling_down(view: TierView) -> Finding | None:
    """Find pods of a service that is to be at rest."""
    if not view.service.spec.suspend or not view.status.get("replicas", 0):
        return None
    return Finding("ScalingDown", "pods are finishing their requests; spec.suspend is true")


def suspended(view: TierView) -> Finding | None:
    """Find that the service is to be at rest."""
    if not view.service.spec.suspend:
        return None
    return Finding("Suspended", "scaled to zero; set spec.suspend to false to go on")


def pods_refused(view: TierView) -> Finding | None:
    """Find that pods cannot even be created: quota, admission, Pod Security."""
    condition = view.condition("ReplicaFailure")
    if condition.get("status") != "True":
        return None
    message = quoted(condition.get("message", ""), _LONGEST_REFUSAL)
    return Finding(condition.get("reason") or "PodsRefused", message, terminal=True)


def mount_missing(view: TierView) -> Finding | None:
    """Find a Secret, a ConfigMap or a key that the settings name and that is not there.

    Its pod only says that it is being created. Pods that run keep what they have mounted, so that only those that do
    not are told of it.
    """
    if view.engine or not first_finding(UNFINISHED, view):
        return None
    service, secrets, config_maps = view.service, view.observed.secrets, view.observed.config_maps
    if secrets is not None and (found := missing_secret(service, service.secrets, secrets)):
        return found
    return None if config_maps is None else missing_config_map(service.config_maps, config_maps)


def pod_hangs(view: TierView) -> Finding | None:
    """Find a pod that answers its probes and does nothing for its requests, until it is gone."""
    there = {pod["metadata"].get("uid") for pod in view.observed.pods}
    found = [hang for hang in view.observed.hangs if hang.tier == view.tier and hang.uid in there]
    if not found:
        return None
    first = min(found, key=lambda hang: hang.due)
    told = f"{first.pod} hangs since {first.since:%H:%M:%S} UTC: it makes nothing for the requests that it has"
    if first.problem:
        return Finding("Hung", f"{told}; it cannot be deleted: {first.problem}; kubectl delete pod {first.pod}")
    if first.due > view.observed.now:
        why = "as another of its kind was not long ago; its log may tell why they hang"
        return Finding("Hung", f"{told}; it is replaced at {first.due:%H:%M:%S} UTC, {why}")
    return Finding("Hung", f"{told}; it is being replaced")


def pod_in_trouble(view: TierView) -> Finding | None:
    """Find what is wrong with a pod, first with one that stays so until a person does something."""
    found = [finding for pod in view.pods if not pod.is_over and (finding := diagnose(pod))]
    return min(found, key=lambda finding: not finding.terminal, default=None)


def pod_given_up(view: TierView) -> Finding | None:
    """Find that the last pod is over: it tells why something is missing, until a node has taken a later one.

    Kubernetes keeps pods that are over.
    """
    over = [pod for pod in view.pods if pod.is_over]
    taken = [pod for pod in view.pods if pod.containers and not pod.is_over]
    if not over or any(pod.created >= over[-1].created for pod in taken):
        return None
    missing = first_finding(ROLLOUT, view)
    return replace(given_up(over[-1]), terminal=missing.terminal) if missing else None


def rollout_pending(view: TierView) -> Finding | None:
    """Find that Kubernetes has not yet looked at the newest spec of the Deployment."""
    generation = view.deployment["metadata"].get("generation", 0) if view.deployment else 0
    if view.status.get("observedGeneration", 0) >= generation:
        return None
    return Finding("RolloutPending", f"Deployment {view.name} has not taken up its newest spec")


def out_of_time(view: TierView) -> Finding | None:
    """Find that the rollout takes longer than the Deployment gives it."""
    if view.condition("Progressing").get("reason") != "ProgressDeadlineExceeded":
        return None
    message = f"Deployment {view.name} made no progress in time; kubectl describe deployment {view.name}"
    return Finding("ProgressDeadlineExceeded", message, terminal=True)


def rolling_out(view: TierView) -> Finding | None:
    """Find pods that are of a former spec, or that are missing."""
    updated, most = view.status.get("updatedReplicas", 0), max(view.status.get("replicas", 0), view.wanted)
    if updated >= most:
        return None
    return Finding("RollingOut", f"{updated} of {most} pods of {view.name} are up to date")


def starting(view: TierView) -> Finding | None:
    """Find pods that are not ready."""
    available = view.status.get("availableReplicas", 0)
    if available >= view.wanted:
        return None
    return Finding("Starting", f"{available} of {view.wanted} pods of {view.name} are ready")


ROLLOUT: Final[tuple[Policy[TierView], ...]] = (rollout_pending, out_of_time, rolling_out, starting)
"""How far a rollout is."""
UNFINISHED: Final = (pod_hangs, pod_in_trouble, pod_given_up, *ROLLOUT)
"""Why pods are missing, from what is wrong with one to how far the rollout is."""
TIER: Final = (
    child_not_written,
    held_back,
    not_created,
    scaling_down,
    suspended,
    pods_refused,
    mount_missing,
    *UNFINISHED,
)
"""Why a tier does not serve."""


def unreachable(view: TierView) -> Finding | None:
    """Find that orchestrators cannot reach an engine that somebody else runs."""
    beginning = names.UPSTREAM_PROBLEM.format(name=view.tier, problem="")
    lines = {line.removeprefix(beginning) for line in view.observed.degraded or () if line.startswith(beginning)}
    if not lines:
        return None
    told = "; ".join(sorted(masked(" ".join(line.split())) for line in lines))
    return Finding(UNREACHABLE, f"orchestrators cannot use the engine at {view.url}: {told}")


def not_heard(view: TierView) -> Finding | None:
    """Find that no orchestrator has said whether it reaches the engine; what they said last counts until they do."""
    if view.observed.degraded is not None:
        return None
    former = _former(view)
    if former and former.reason in (REACHED, UNREACHABLE):
        return Finding(former.reason, former.message) if former.status != ConditionStatus.TRUE else None
    return Finding("NotHeard", f"no orchestrator has said yet whether it reaches {view.url}; asked once a minute")


def _former(view: TierView) -> Condition | None:
    """Return what was told last of whether an engine serves."""
    stored = view.service.status
    if view.component is view.service.engine:
        return former_conditions(stored).get(ConditionType.ENGINE_READY)
    return former_conditions(former_engine(stored, view.tier)).get(ConditionType.READY)


EXTERNAL: Final[tuple[Policy[TierView], ...]] = (suspended, unreachable, not_heard)
"""Why an engine does not serve that somebody else runs."""


def model_finding(engine: TierView) -> Finding | None:
    """Return why the model is not loaded; None when an engine pod serves it."""
    if engine.external:
        return engine.finding
    if engine.engine and (waits := awaited_fetch(engine.engine, engine.observed)):
        return waits
    if any(container.status.get("ready") for _, container in engine.mains):
        return None
    return first_finding(MODEL, engine)


def source_unusable(engine: TierView) -> Finding | None:
    """Find that the engine does not serve for its model's sake."""
    return engine.finding if engine.finding and engine.finding.about_model else None


def at_rest(engine: TierView) -> Finding | None:
    """Find that the service is to be at rest."""
    return engine.finding if engine.service.spec.suspend else None


def loading(engine: TierView) -> Finding | None:
    """Find an engine that runs, and so loads the model, unless it is known that it will not serve."""
    if engine.finding and engine.finding.terminal:
        return None
    for pod, container in engine.mains:
        if (running := container.state.get("running")) and (of := engine.engine):
            begun, budget = moment(running.get("startedAt")), of.spec.startup_timeout
            told = f"{pod.name} loads {of.model.source} since {begun:%H:%M:%S} UTC (budget {budget})"
            return Finding("Loading", told)
    return None


def engine_not_running(engine: TierView) -> Finding | None:
    """Find that nothing runs that could load the model."""
    of = engine.engine
    return Finding("EngineNotRunning", f"{of.model.source} is loaded once an engine pod runs") if of else None


MODEL: Final[tuple[Policy[TierView], ...]] = (source_unusable, at_rest, loading, engine_not_running)
"""Why no engine has loaded the model."""
