"""What was decided for an engine, kept at its Deployment: a decision holds until what it was made for changes."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tandem_operator.api.component import EngineComponent
from tandem_operator.api.model import SizedModelSpec
from tandem_operator.sizing.gpu import Gpu
from tandem_operator.sizing.plan import Plan
from tandem_operator.sizing.shape import ModelShape

ANNOTATION: Final = "tandem.dev/sizing"


class Record(BaseModel):
    """A decision, with what it went by."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    made_for: str
    """The fields of the spec that it went by, as JSON."""
    shape: ModelShape
    gpu: str
    gpu_memory: Annotated[int, Field(ge=1)]
    gpus_per_node: Annotated[int, Field(ge=1)]
    gpus: Annotated[int, Field(ge=1, le=64)]
    tensor: Annotated[int, Field(ge=1, le=64)]
    pipeline: Annotated[int, Field(ge=1, le=64)]
    max_model_len: Annotated[int, Field(ge=1)]

    @classmethod
    def of(cls, component: EngineComponent, shape: ModelShape, plan: Plan, gpus_per_node: int) -> Self:
        """Return the record of a plan."""
        return cls(
            made_for=made_for(component),
            shape=shape,
            gpu=plan.gpu.name,
            gpu_memory=plan.gpu.memory,
            gpus_per_node=gpus_per_node,
            gpus=plan.gpus,
            tensor=plan.tensor,
            pipeline=plan.pipeline,
            max_model_len=plan.max_model_len,
        )

    @property
    def kind(self) -> Gpu:
        """The accelerator that it went by."""
        return Gpu(self.gpu, self.gpu_memory)


def made_for(component: EngineComponent) -> str:
    """Return the fields that a decision goes by.

    The release's arithmetic is none of them, nor what nodes there are: with others, an engine that runs goes on.
    """
    spec, model = component.spec, component.model
    figures = model.figures if isinstance(model, SizedModelSpec) else None
    fields = {
        "source": model.source,
        "figures": figures.model_dump(mode="json") if figures else None,
        "accelerator": spec.accelerator,
        "gpuMemory": spec.gpu_memory,
        "nodeSelector": spec.node_selector,
        "pipeline": spec.parallelism.pipeline,
        "maxModelLen": spec.max_model_len,
        "maxNumSeqs": spec.max_num_seqs,
        "extraArgs": spec.extra_args,
    }
    return json.dumps({name: value for name, value in fields.items() if value}, sort_keys=True)


def former(deployment: Mapping[str, Any] | None, component: EngineComponent) -> Record | None:
    """Return the record at an engine's Deployment, if it was made for what the spec says now."""
    record = last(deployment)
    return record if record and record.made_for == made_for(component) else None


def last(deployment: Mapping[str, Any] | None) -> Record | None:
    """Return the record at an engine's Deployment, whatever the spec said then."""
    annotations = ((deployment or {}).get("metadata") or {}).get("annotations") or {}
    try:
        return Record.model_validate_json(annotations.get(ANNOTATION, ""))
    except ValidationError:
        return None


def recorded(manifest: Mapping[str, Any], records: Mapping[str, Record | None]) -> dict[str, Any]:
    """Return an object together with the record of the engine whose Deployment it is; `records` by their names."""
    metadata = manifest["metadata"]
    if manifest["kind"] != "Deployment" or (record := records.get(metadata["name"])) is None:
        return {**manifest}
    annotations = (metadata.get("annotations") or {}) | {ANNOTATION: record.model_dump_json()}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}
