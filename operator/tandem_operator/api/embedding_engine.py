"""`spec.embeddingEngine`: a second, small engine, which makes vectors of texts."""

from dataclasses import replace
from typing import ClassVar, Final

from tandem_operator.api.engine import Accelerator, EngineBasics, EngineSpec, ToolCalling, source_rule
from tandem_operator.api.model import ModelSpec
from tandem_operator.api.pairing import pairing
from tandem_operator.api.pod import Resources
from tandem_operator.engines import types_with
from tandem_operator.engines.base import CPU, Capability
from tandem_operator.rules import Rule

_TYPES: Final = types_with(Capability.EMBEDDINGS)


class EmbeddingEngineSpec(EngineBasics):
    """An engine beside the LLM's that serves /v1/embeddings, with pods, model and accelerator of its own."""

    rules: ClassVar[tuple[Rule, ...]] = tuple(
        replace(rule, message=rule.message.replace("engine.", "embeddingEngine."))
        for rule in (
            *EngineBasics.rules,
            Rule(
                cel=f"self.type in {_TYPES}",
                holds=lambda engine: engine.type in _TYPES,
                message=f"engine.type must be one of {', '.join(_TYPES)}: others make no vectors; put an external one "
                "under additionalEngines, with task embed",
                field="type",
            ),
            source_rule("self.type", lambda engine: engine, "model"),
            *pairing("self", lambda engine: (engine, engine.model)),
        )
    )

    model: ModelSpec
    """The embedding model; clients write its name as `model`."""
    accelerator: Accelerator = CPU
    """Extended resource that a replica asks for, such as nvidia.com/gpu or amd.com/gpu, or cpu for none."""
    resources: Resources = Resources(requests={"cpu": "1", "memory": "4Gi"})
    """CPU and memory of a replica; accelerators are set by gpus."""

    @property
    def engine(self) -> EngineSpec:
        """The same as the spec of an engine, which calls no tools."""
        same = {name: getattr(self, name) for name in EngineBasics.model_fields}
        return EngineSpec.model_validate({**same, "tool_calling": ToolCalling(enabled=False)})
