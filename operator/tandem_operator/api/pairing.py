"""Which model an engine can be given: rules for sections that have both."""

from collections.abc import Callable
from typing import Any

from tandem_operator.api.engine import EngineBasics, EngineSpec
from tandem_operator.api.model import ModelSpec
from tandem_operator.engines import ENGINES, types_with
from tandem_operator.engines.base import Capability, EngineType, SpeculativeMethod
from tandem_operator.rules import Rule

Read = Callable[[Any], tuple[EngineBasics, ModelSpec]]
_HF = "^hf://"
_CACHED = [str(kind) for kind, engine in ENGINES.items() if "pvc" in engine.sources]
_FOLDERS = "^(pvc|oci)://"
"""Sources of which a file has to be named, where one is loaded."""


def pairing(engine: str, read: Read) -> tuple[Rule, ...]:
    """Return the rules for a section with a field `model`; `engine` is the CEL of its engine, and `read` gives both."""
    file, revision, token = Capability.MODEL_FILE, Capability.REVISION, Capability.HF_TOKEN
    adapters = Capability.ADAPTERS
    source, credentials = "self.model.source", "self.model.credentials"
    return (
        *(_takes(engine, kind, read) for kind in ENGINES),
        _rule(
            f"!has(self.model.file) || {_able(engine, file)}",
            lambda spec, model: model.file is None or _can(spec, file),
            f"model.file is for engines that load one file ({_names(file)}); leave it out with others",
            read,
        ),
        _rule(
            f"!has(self.model.adapters) || {_able(engine, adapters)}",
            lambda spec, model: model.adapters is None or _can(spec, adapters),
            f"model.adapters are for engine.type {_names(adapters)}; leave them out with others",
            read,
        ),
        _with_source(
            f"has(self.model.file) || !({_able(engine, file)})"
            f" || !has(self.model.cache) && !{source}.matches('{_FOLDERS}')",
            lambda spec, model: (
                model.file is not None
                or not _can(spec, file)
                or (model.cache is None and not model.has_source(_FOLDERS))
            ),
            f"model.file must name the GGUF file in a pvc:// or oci:// source or in a cache: {_names(file)} load one",
            read,
        ),
        _with_source(
            f"!{source}.matches('{_HF}.*@') || {_able(engine, revision)}",
            lambda spec, model: not model.has_source(f"{_HF}.*@") or _can(spec, revision),
            f"model.source may have @revision with engine.type {_names(revision)}; leave it out with others",
            read,
        ),
        _rule(
            f"!has(self.model.cache) || {engine}.type in {_CACHED}",
            lambda spec, model: model.cache is None or spec.type in _CACHED,
            f"model.cache is for engine.type {', '.join(_CACHED)}, which load models from volumes",
            read,
        ),
        _rule(
            f"!has(self.model.cache) || !has(self.model.cache.claim) || {engine}.replicas == 1"
            " || has(self.model.cache.claim.accessModes) && 'ReadWriteMany' in self.model.cache.claim.accessModes",
            lambda spec, model: spec.replicas == 1 or not (model.cache and model.cache.is_on_one_node),
            "model.cache.claim.accessModes must have ReadWriteMany for more than one replica: others may be on "
            "another node",
            read,
        ),
        _with_source(
            f"!has({credentials}) || !{source}.matches('{_HF}') || {_able(engine, token)}",
            lambda spec, model: model.credentials is None or not model.has_source(_HF) or _can(spec, token),
            f"model.credentials open hf:// for engine.type {_names(token)}; others cannot sign in there",
            read,
        ),
    )


def draft_pairing(engine: str, read: Callable[[Any], tuple[EngineSpec, ModelSpec]]) -> tuple[Rule, ...]:
    """Return the rules for a section with a field `model` whose engine guesses tokens by another model."""

    def downloads(section: Any) -> bool:
        draft = read(section)[0].draft
        return draft is not None and draft.source.startswith("hf://")

    def caches(section: Any) -> bool:
        return read(section)[1].cache is not None and downloads(section)

    def by_draft_model(section: Any) -> bool:
        engine, model = read(section)
        guessing = engine.speculative_decoding
        by_model = guessing is not None and guessing.method is SpeculativeMethod.DRAFT_MODEL
        return by_model and engine.type is EngineType.SGLANG and model.adapters is not None

    path, field = f"{engine}.speculativeDecoding", "engine" if engine == "self.engine" else "speculativeDecoding"
    from_hub = Rule(
        cel=f"!has({path}) || !has({path}.model) || !{path}.model.source.startsWith('hf://')"
        f" || !has(self.model.source) || self.model.source.startsWith('hf://')",
        holds=lambda section: not downloads(section) or read(section)[1].has_source(_HF),
        message="engine.speculativeDecoding.model.source may be hf:// only where model.source is: other engines "
        "download nothing",
        field=field,
    )
    beside_adapters = Rule(
        cel=f"!has({path}) || {path}.method != '{SpeculativeMethod.DRAFT_MODEL}' || !has(self.model.adapters)"
        f" || {engine}.type != '{EngineType.SGLANG}'",
        holds=lambda section: not by_draft_model(section),
        message="sglang takes no model.adapters beside speculativeDecoding.method draft-model; choose another method",
        field=field,
    )
    beside_cache = Rule(
        cel=f"!has({path}) || !has({path}.model) || !{path}.model.source.startsWith('hf://') || !has(self.model.cache)",
        holds=lambda section: not caches(section),
        message="engine.speculativeDecoding.model.source must be pvc:// or oci:// beside model.cache: an engine with a "
        "cache asks the hub for nothing",
        field=field,
    )
    return from_hub, beside_cache, beside_adapters


def _takes(engine: str, kind: EngineType, read: Read) -> Rule:
    schemes = ENGINES[kind].sources
    pattern = f"^({'|'.join(schemes)})://"
    return _with_source(
        f"{engine}.type != '{kind}' || self.model.source.matches('{pattern}')",
        lambda spec, model: spec.type != kind or model.has_source(pattern),
        f"model.source must begin with {', '.join(f'{scheme}://' for scheme in schemes)} where engine.type is {kind}",
        read,
    )


def _rule(cel: str, holds: Callable[[EngineBasics, ModelSpec], bool], message: str, read: Read) -> Rule:
    return Rule(cel=cel, holds=lambda section: holds(*read(section)), message=message, field="model")


def _with_source(cel: str, holds: Callable[[EngineBasics, ModelSpec], bool], message: str, read: Read) -> Rule:
    """Return a rule for those models alone that have a source."""
    rule = _rule(cel, holds, message, read)
    return rule.where("has(self.model.source)", lambda section: read(section)[1].source is not None)


def _able(engine: str, capability: Capability) -> str:
    return f"{engine}.type in {types_with(capability)}"


def _can(engine: EngineBasics, capability: Capability) -> bool:
    return engine.type in types_with(capability)


def _names(capability: Capability) -> str:
    return ", ".join(types_with(capability))
