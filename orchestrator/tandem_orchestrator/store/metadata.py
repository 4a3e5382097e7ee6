"""What clients note about what they store, as OpenAI has it."""

from typing import Any, Final

from tandem_orchestrator.errors import BadRequest

MOST: Final = 16
LONGEST_KEY: Final = 64
LONGEST_VALUE: Final = 512


def metadata(value: Any) -> dict[str, str]:
    """Return checked metadata: at most 16 texts of 512 characters, under names of 64. Raises `BadRequest`."""
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MOST:
        raise BadRequest(f"`metadata` must be an object with at most {MOST} texts", param="metadata")
    for key, text in value.items():
        if len(key) > LONGEST_KEY or not isinstance(text, str) or len(text) > LONGEST_VALUE:
            raise BadRequest(
                f"`metadata` must have names of at most {LONGEST_KEY} characters and texts of at most {LONGEST_VALUE}",
                param=f"metadata.{key[:LONGEST_KEY]}",
            )
    return value
