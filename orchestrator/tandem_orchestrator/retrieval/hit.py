"""What a search found."""

from typing import Any, NamedTuple

from tandem_orchestrator.retrieval.attributes import Attributes


class Hit(NamedTuple):
    """A piece of a document that fits a question."""

    file_id: str
    filename: str
    position: int
    """Which piece of the file it is, counted from 0."""
    text: str
    page: int | None
    """Page of a PDF, slide or sheet, counted from 1."""
    heading: str
    """Headings above it, joined by " > "; empty where there are none."""
    score: float
    """0 to 1."""
    attributes: Attributes

    def shown(self) -> dict[str, Any]:
        """Return it as OpenAI's search results are; where the text stands is added to its content."""
        content: dict[str, Any] = {"type": "text", "text": self.text}
        if self.page is not None:
            content["page"] = self.page
        if self.heading:
            content["heading"] = self.heading
        return {
            "file_id": self.file_id,
            "filename": self.filename,
            "score": self.score,
            "attributes": self.attributes,
            "content": [content],
        }
