"""What a check says of a text."""

from collections.abc import Iterable
from typing import Any, Final

CATEGORIES: Final = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""OpenAI's; checks may know others."""


def result(found: Iterable[str], others: Iterable[str], types: list[str], *, flagged: bool) -> dict[str, Any]:
    """Return an entry of `results` as OpenAI's API has it, for an input of such `types`.

    `found` are the categories that it belongs to, `others` those beside OpenAI's that were looked for. A check that
    only says yes or no makes scores of 1 and 0.
    """
    named = set(found)
    categories = {name: name in named for name in dict.fromkeys((*CATEGORIES, *others, *sorted(named)))}
    return {
        "flagged": flagged or bool(named),
        "categories": categories,
        "category_scores": {name: float(value) for name, value in categories.items()},
        "category_applied_input_types": dict.fromkeys(categories, types),
    }
