"""What orchestrators say at `/ready` of how an engine's requests ended; counted since their process began."""

from collections.abc import Container, Iterator
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

QUERY: Final = "outcomes"
"""The field of the answer."""
_MOST: Final = 64
_Count = Annotated[int, Field(ge=0, le=2**53)]


class Outcome(BaseModel):
    """What became of the requests that one orchestrator sent to one engine."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    pod: str = ""
    """Address of the orchestrator."""
    upstream: Annotated[str, Field(max_length=253)]
    requests: _Count = 0
    failures: _Count = 0
    first_tokens: _Count = 0
    """Answers of which a first token came."""
    first_token_seconds: Annotated[float, Field(ge=0, le=1e15, allow_inf_nan=False)] = 0
    """What they took until then, together."""


def outcomes(said: object, pod: str, upstreams: Container[str]) -> Iterator[Outcome]:
    """Yield what can be used of what one orchestrator said of these upstreams. TypeError: it has another shape."""
    if not isinstance(said, list):
        raise TypeError(f"{QUERY} is no list")
    for each in said[:_MOST]:
        try:
            found = Outcome.model_validate({**each, "pod": pod} if isinstance(each, dict) else each)
        except ValidationError:
            continue
        if found.upstream in upstreams:
            yield found
