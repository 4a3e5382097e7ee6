"""How many accelerators an engine gets: decided once, told in full, and kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tandem_operator.api.component import EngineComponent
from tandem_operator.api.engine import AUTO, EngineSpec
from tandem_operator.api.quantity import number
from tandem_operator.sizing.asked import is_stated, loads_files_whole, wanted
from tandem_operator.sizing.gpu import Gpu
from tandem_operator.sizing.nodes import NodeGpus, smallest
from tandem_operator.sizing.plan import DoesNotFitError, Plan, Wanted, plan
from tandem_operator.sizing.record import Record, former, last
from tandem_operator.sizing.shape import ModelShape
from tandem_operator.sizing.telling import arithmetic
from tandem_operator.sizing.units import gib

_USUAL_NODE: Final = 8


@dataclass(frozen=True)
class Evidence:
    """What is known for a decision."""

    deployment: Mapping[str, Any] | None = None
    """The engine as it runs; None before it is made."""
    shape: ModelShape | None = None
    problem: str | None = None
    """Why the model could not be looked at; None while it is being looked at, too."""
    held_up: str | None = None
    """What keeps it from being looked at, if that may pass."""
    nodes: Sequence[NodeGpus] = ()


@dataclass(frozen=True)
class Decision:
    """What an engine gets, or why it gets nothing yet."""

    reason: str
    message: str
    fits: bool | None
    """Whether the model is known to fit; None where nobody can tell."""
    spec: EngineSpec | None = None
    """The spec to build the engine by; None while it is to be left as it is."""
    terminal: bool = False
    """Whether it stays so until a person does something."""
    record: Record | None = None
    """What is kept of it."""
    estimate: Plan | None = None
    """The arithmetic, where there is one that holds."""
    waits_for_files: bool = False
    """Whether the model's files are to be looked at."""


def decide(component: EngineComponent, evidence: Evidence) -> Decision:
    """Return what an engine gets; it is one of those that are sized."""
    if is_stated(component):
        return _stated(component, evidence)
    if record := former(evidence.deployment, component):
        return _kept(component, record)
    kind = _kind(component, evidence.nodes)
    if kind is None:
        return _without_gpu(component, evidence)
    if component.spec.gpus is None and evidence.deployment and not last(evidence.deployment):
        message = f"{component.name} runs on {component.spec.gpu_count} as before; {_path(component)}: auto sizes it"
        return Decision("NotSized", message, None, component.spec)
    if evidence.shape is None:
        return _without_shape(component, evidence)
    return _planned(component, evidence.shape, kind)


def resting(component: EngineComponent, deployment: Mapping[str, Any]) -> Decision:
    """Return what an engine keeps that is suspended before it is decided what it gets."""
    record, spec = last(deployment), component.spec
    message = f"{component.name} is sized once spec.suspend is false"
    return Decision("Suspended", message, None, _sized(spec, record) if record else spec, record=record)


def _stated(component: EngineComponent, evidence: Evidence) -> Decision:
    """Check what the spec states: it is carried out unless the weights alone are too much."""
    kind, spec = _kind(component, evidence.nodes), component.spec
    if evidence.shape is None or kind is None:
        message = f"{component.spec_path} states {spec.gpu_count}; whether the model fits is not known"
        return Decision("NotEstimated", message, None, spec)
    try:
        found = plan(evidence.shape, kind.gpu, wanted(component, kind.count))
    except DoesNotFitError as error:
        too_large = evidence.shape.weights > kind.gpu.memory * spec.gpu_count and loads_files_whole(spec)
        if too_large and evidence.deployment is None:
            return _refused(error, f"raise {_path(component)} or set it to auto")
        return Decision(
            "DoesNotFit", f"as {component.spec_path} states it, it may not fit: {error}", fits=False, spec=spec
        )
    return Decision("Stated", arithmetic(found), fits=True, spec=spec, estimate=found)


def _kept(component: EngineComponent, record: Record) -> Decision:
    asked = _fixed(wanted(component, record.gpus_per_node), record)
    spec = _sized(component.spec, record)
    try:
        found = plan(record.shape, record.kind, asked)
    except DoesNotFitError as error:
        message = f"keeps the {record.gpus} of {record.gpu} that it was given, though by now: {error}"
        return Decision("DoesNotFit", message, fits=False, spec=spec, record=record)
    return Decision("Sized", arithmetic(found), fits=True, spec=spec, record=record, estimate=found)


def _planned(component: EngineComponent, shape: ModelShape, kind: NodeGpus) -> Decision:
    try:
        found = plan(shape, kind.gpu, wanted(component, kind.count))
    except DoesNotFitError as error:
        return _refused(error, f"a number in {_path(component)} overrules this")
    if found.nodes > 1:
        return _refused(
            f"{arithmetic(found)}; but a replica is one pod, on a node that has {kind.count} of them",
            "choose larger GPUs, a smaller model, or an engine of type external that spans nodes",
        )
    return _kept(component, Record.of(component, shape, found, kind.count))


def _without_shape(component: EngineComponent, evidence: Evidence) -> Decision:
    source = component.model.source
    if evidence.problem is None:
        waits = f": {evidence.held_up}" if evidence.held_up else ""
        return Decision("Inspecting", f"{source} is looked at, to size the engine{waits}", None, waits_for_files=True)
    message = f"{source} could not be looked at: {evidence.problem}; set {component.model_path}.figures, or a number in"
    message = f"{message} {_path(component)}"
    if _must_be_sized(component, evidence):
        return Decision("MetadataMissing", message, None, terminal=True, waits_for_files=True)
    return Decision("MetadataMissing", f"{message}; it gets 1", None, component.spec)


def _without_gpu(component: EngineComponent, evidence: Evidence) -> Decision:
    message = (
        f"no node that {component.spec_path}.nodeSelector leaves tells how much memory its "
        f"{component.spec.accelerator} has, by labels of GPU feature discovery or by a ResourceSlice, or the operator "
        f"may not read nodes; set {component.spec_path}.gpuMemory, for example 79Gi, or a number in {_path(component)}"
    )
    if _must_be_sized(component, evidence):
        return Decision("AcceleratorUnknown", message, None, terminal=True)
    return Decision("AcceleratorUnknown", f"{message}; it gets 1", None, component.spec)


def _must_be_sized(component: EngineComponent, evidence: Evidence) -> bool:
    """Return whether one accelerator will not do instead: one that was sized would lose those that it has."""
    return component.spec.gpus == AUTO or last(evidence.deployment) is not None


def _refused(cause: object, remedy: str) -> Decision:
    return Decision("DoesNotFit", f"{cause}; {remedy}", fits=False, terminal=True)


def _kind(component: EngineComponent, nodes: Sequence[NodeGpus]) -> NodeGpus | None:
    """Return the accelerators that the engine will run on: as the spec states them, or the smallest that there are."""
    found = smallest(nodes)
    if stated := component.spec.gpu_memory:
        memory = int(number(stated))
        return NodeGpus("", Gpu(f"{gib(memory)} GPU", memory), found.count if found else _USUAL_NODE)
    return found


def _fixed(asked: Wanted, record: Record) -> Wanted:
    return replace(
        asked, context=record.max_model_len, gpus=record.gpus, tensor=record.tensor, pipeline=record.pipeline
    )


def _sized(spec: EngineSpec, record: Record) -> EngineSpec:
    """Return the spec with what was decided in the place of what it leaves open."""
    parallelism = spec.parallelism.model_copy(update={"tensor": record.tensor, "pipeline": record.pipeline})
    shorter = record.max_model_len < record.shape.context
    length = record.max_model_len if spec.max_model_len is None and shorter else spec.max_model_len
    return spec.model_copy(update={"gpus": record.gpus, "parallelism": parallelism, "max_model_len": length})


def _path(component: EngineComponent) -> str:
    return f"{component.spec_path}.gpus"
