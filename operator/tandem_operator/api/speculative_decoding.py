"""`spec.engine.speculativeDecoding`: tokens that are guessed, and then checked by the model all at once."""

from typing import Annotated, ClassVar

from pydantic import Field

from tandem_operator.api.source import HF_PATTERN, FileName, Source, of_files, parse
from tandem_operator.engines.base import SpeculativeMethod
from tandem_operator.rules import Rule, Ruled

_WITH_MODEL = (SpeculativeMethod.DRAFT_MODEL, SpeculativeMethod.EAGLE3)


class DraftModelSpec(Ruled):
    """The small model that guesses."""

    rules: ClassVar[tuple[Rule, ...]] = (of_files("speculativeDecoding.model", HF_PATTERN, "hf://org/name[@revision]"),)

    source: Annotated[str, Field(min_length=1, max_length=512)]
    """Where its files are: `hf://org/name[@revision]`, which the engine downloads with the model's credentials;
    `pvc://claim[/folder]`; or `oci://registry/image:tag` with the files at its root."""
    file: FileName | None = None
    """The one file in the source that is loaded, for engines that load one, such as model-Q8_0.gguf."""

    @property
    def parsed_source(self) -> Source:
        """The source, read."""
        return parse(self.source)


class SpeculativeDecoding(Ruled):
    """How tokens are guessed. The model answers as without it, and the sooner the more often the guesses are right."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"has(self.model) || !(self.method in {[*map(str, _WITH_MODEL)]})",
            holds=lambda decoding: decoding.model is not None or decoding.method not in _WITH_MODEL,
            message="speculativeDecoding.model is needed with method draft-model and eagle3: it says where the model "
            "is that guesses",
            field="model",
        ),
        Rule(
            cel=f"!has(self.model) || self.method != '{SpeculativeMethod.NGRAM}'",
            holds=lambda decoding: decoding.model is None or decoding.method is not SpeculativeMethod.NGRAM,
            message="speculativeDecoding.model has no use with method ngram, which guesses from the text so far; "
            "leave it out",
            field="model",
        ),
    )

    method: SpeculativeMethod
    """ngram: what followed the same words earlier in the text; draft-model: a small model with the same vocabulary;
    eagle3: a head that was trained for the model; mtp: layers for it among the model's own."""
    tokens: Annotated[int, Field(ge=1, le=64)]
    """Tokens that are guessed at a time, at most."""
    model: DraftModelSpec | None = None
    """The model that guesses, with method draft-model and eagle3, and with mtp where its layers come apart."""
