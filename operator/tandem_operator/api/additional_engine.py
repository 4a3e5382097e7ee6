"""`spec.additionalEngines`: engines beside the main one, each with a model of its own."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field

from tandem_operator.api.engine import EngineReplicas, EngineSpec, source_rule
from tandem_operator.api.model import SizedModelSpec
from tandem_operator.api.pairing import draft_pairing, pairing
from tandem_operator.engines import types_with
from tandem_operator.engines.base import Capability, EngineType
from tandem_operator.rules import Rule

LONGEST_NAME: Final = 32
NAME: Final = rf"^[a-z0-9]([-a-z0-9]{{0,{LONGEST_NAME - 2}}}[a-z0-9])?$"
"""How one is called: its Deployment and Service are NAME-<this>."""
RESERVED: Final = "^((engine|embedding|orchestrator|ingestion|migration|migrate|files)(-.*)?|(.*-)?pods)$"
"""Names by which the service's other objects are called."""
_EMBEDDING: Final = [*types_with(Capability.EMBEDDINGS), str(EngineType.EXTERNAL)]


class Task(StrEnum):
    """What an engine makes of a request."""

    GENERATE = "generate"
    EMBED = "embed"


def _writes(engine: EngineSpec) -> bool:
    """Return whether a field is set that is for an engine which writes text."""
    return any((engine.kv_offload, engine.speculative_decoding, engine.structured_outputs))


class AdditionalEngineSpec(EngineSpec):
    """An engine beside the main one, with model, accelerator, size and replicas of its own."""

    rules: ClassVar[tuple[Rule, ...]] = tuple(
        replace(rule, message=rule.message.replace("engine.", "additionalEngines.*."))
        for rule in (
            *EngineSpec.rules,
            Rule(
                cel=f"self.task != 'embed' || self.type in {_EMBEDDING}",
                holds=lambda engine: engine.task is not Task.EMBED or engine.type in _EMBEDDING,
                message=f"engine.type must be one of {', '.join(_EMBEDDING)} with task embed: others make no vectors",
                field="type",
            ),
            source_rule("self.type", lambda engine: engine, "model"),
            *pairing("self", lambda engine: (engine, engine.model)),
            *draft_pairing("self", lambda engine: (engine, engine.model)),
            Rule(
                cel="self.task != 'embed' || !(has(self.kvOffload) || has(self.speculativeDecoding)"
                " || has(self.structuredOutputs))",
                holds=lambda engine: engine.task is not Task.EMBED or not _writes(engine),
                message="engine.kvOffload, speculativeDecoding and structuredOutputs have no use with task embed, "
                "which writes no text; leave them out",
                field="task",
            ),
        )
    )

    model: SizedModelSpec
    """The model; clients write its name as `model`."""
    task: Task = Task.GENERATE
    """generate: chats and completions; embed: vectors of texts (/v1/embeddings), without tool calls."""
    replicas: EngineReplicas = 1
    """Engine pods."""

    @property
    def engine(self) -> EngineSpec:
        """The same as the spec of an engine, which calls no tools where it makes vectors."""
        if self.task is Task.GENERATE:
            return self
        return self.model_copy(update={"tool_calling": self.tool_calling.model_copy(update={"enabled": False})})


def _sorted(engines: dict[str, AdditionalEngineSpec]) -> dict[str, AdditionalEngineSpec]:
    return dict(sorted(engines.items()))  # as the API server has them


AdditionalEngines = Annotated[dict[str, AdditionalEngineSpec], Field(max_length=8), AfterValidator(_sorted)]
"""All of them by their names."""
