"""The endpoints that engines answer, and what differs between them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path that takes a POST."""

    path: str
    asks: str
    """Field that a request must have."""
    answers: str
    """Field of a whole answer, a list with at least one object."""
    chat: bool = False
    """Requests are conversations: they have messages, a system prompt, tools."""
    generates: bool = True
    """Answers are made of tokens: they can be streamed and bounded."""
    several: bool = True
    """Requests may ask for several answers, by `n`."""
    repeats: bool = False
    """Equal requests get equal answers, whatever else they say."""
    salted: bool = True
    """Engines that take a `cache_salt` take it here."""
    needs: tuple[tuple[str, ...], ...] = ()
    """The fields of which a request must have all in one of these groups; none where `asks` is enough."""
    tokens_a_part: int = 0
    """What each object of an answer counts for whose engine tells no usage; 0 where its text says that."""


CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
IMAGES: Final = "/v1/images/generations"
MODERATIONS: Final = "/v1/moderations"
RERANK: Final = "/v1/rerank"
TOKENIZE: Final = "/tokenize"
TRANSCRIPTIONS: Final = "/v1/audio/transcriptions"
TRANSLATIONS: Final = "/v1/audio/translations"
RESPONSES: Final = "/v1/responses"
SCORE: Final = "/v1/score"

IMAGE_TOKENS: Final = 1056  # what OpenAI's API counts for an image of 1024x1024 pixels in medium quality

ENDPOINTS: Final = {
    endpoint.path: endpoint
    for endpoint in (
        Endpoint(CHAT, "messages", "choices", chat=True),
        Endpoint(COMPLETIONS, "prompt", "choices"),
        Endpoint(EMBEDDINGS, "input", "data", generates=False, several=False, repeats=True),
        Endpoint(
            RERANK,
            "query",
            "results",
            generates=False,
            several=False,
            repeats=True,
            salted=False,
            needs=(("query", "documents"),),
        ),
        Endpoint(
            SCORE,
            "text_1",
            "data",
            generates=False,
            several=False,
            repeats=True,
            salted=False,
            needs=(("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")),
        ),
        Endpoint(MODERATIONS, "input", "results", generates=False, several=False, repeats=True, salted=False),
        Endpoint(IMAGES, "prompt", "data", generates=False, salted=False, tokens_a_part=IMAGE_TOKENS),
    )
}
"""Those whose requests go on to an engine."""
FORMS: Final = {
    path: Endpoint(path, "file", "text", generates=False, several=False, salted=False)
    for path in (TRANSCRIPTIONS, TRANSLATIONS)
}
"""Those whose requests are forms, and whose answers may be texts that are no JSON."""
ASKED: Final = {**ENDPOINTS, **FORMS, RESPONSES: Endpoint(RESPONSES, "input", "output")}
"""Those that engines are asked."""
