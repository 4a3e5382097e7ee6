"""What a vector store remembers of what made its vectors."""

from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Identity:
    """Vectors of equal identities can be compared; they are always normalised to length 1."""

    model: str
    """Name of an engine's model, or of the folder of one in the process."""
    dimension: int | None
    """Numbers of a vector; None before the first one was made."""
    document_prompt: str = ""
    query_prompt: str = ""
    fingerprint: str = ""
    """SHA-256 of the files of a model in the process; "" for an engine's."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def read(cls, document: dict[str, Any]) -> Self:
        """Return what `document()` has written."""
        return cls(**document)

    def difference(self, now: Self) -> str:
        """Return in what `now` makes other vectors than this one made, in a sentence; "" where they can be compared.

        A prompt of questions may change without the documents: what they are asked with is never stored. So may the
        name of a folder.
        """
        if self.fingerprint != now.fingerprint or (not self.fingerprint and self.model != now.model):
            return f"its vectors are of {_named(self)}, and {_named(now)} is configured"
        if None not in (self.dimension, now.dimension) and self.dimension != now.dimension:
            return f"its vectors have {self.dimension} dimensions, and {self.model!r} makes {now.dimension}"
        if self.document_prompt != now.document_prompt:
            return (
                f"its vectors were made with the document prompt {self.document_prompt!r}, and "
                f"{now.document_prompt!r} is configured"
            )
        return ""


def _named(identity: Identity) -> str:
    files = f" ({identity.fingerprint[:12]})" if identity.fingerprint else ""
    return f"the model {identity.model!r}{files}"
