"""Log probabilities in a chunk, in which the text stands once more, token by token."""

from collections.abc import Sequence
from typing import Final

from tandem_orchestrator.gateway.chunk import LOGPROBS, Json
from tandem_orchestrator.guardrails.found import Finder

OF_TOKENS: Final = {"tokens", "token_logprobs", "top_logprobs", "text_offset"}
OF_ENTRIES: Final = {"content", "refusal"}
OF_ENTRY: Final = {"token", "logprob", "bytes", "top_logprobs", "id"}


def said_in(choice: Json, finders: Sequence[Finder]) -> str:
    """Return the text of whose tokens a choice has them; leave them out where they say more than may be."""
    logprobs = choice.get(LOGPROBS)
    if not logprobs:
        return ""
    said, others = _tokens_in(logprobs)
    if said is None or (others and any(finder.find("\n".join(others)) for finder in finders)):
        choice[LOGPROBS] = None
        return ""
    return "".join(said)


def _tokens_in(logprobs: Json) -> tuple[list[str] | None, list[str]]:
    """Return the tokens that were said, and those that might have been; None in the place of what is unknown."""
    if "tokens" in logprobs:  # of a completion
        known = logprobs.keys() <= OF_TOKENS
        others = [token for tokens in logprobs.get("top_logprobs") or () for token in tokens or ()]
        return (logprobs["tokens"] if known else None), others
    entries = [*(logprobs.get("content") or ()), *(logprobs.get("refusal") or ())]
    more = [other for entry in entries for other in entry.get("top_logprobs") or ()]
    known = logprobs.keys() <= OF_ENTRIES and all(entry.keys() <= OF_ENTRY for entry in (*entries, *more))
    return ([entry["token"] for entry in entries] if known else None), [other["token"] for other in more]
