"""The types of the `openai` package, taken strictly: each field of its own type, and none that they do not know.

The package itself reads whatever a server sends.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, Final, Union, get_args

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

MORE: Final = {
    "Response": {"store", "presence_penalty", "frequency_penalty", "tandem"},  # the standard demands three of them
    "ResponseFunctionCallArgumentsDoneEvent": {"name"},  # OpenAI's own document has it
    "ResponseCustomToolCall": {"status"},  # ResponseCustomToolCallItem has it, for the same item
    "ResponseFunctionWebSearch": {"results"},  # `include` names them, and no type has them
    "Result": {"page", "heading"},  # where in its file a passage stands
    "AnnotationFileCitation": {"page", "quote"},
    "Logprob": {"bytes"},  # the standard demands them in events too
    "LogprobTopLogprob": {"bytes"},
    "ResponseErrorEvent": {"error"},  # the standard's form of the same
}
"""Fields that are sent beyond the published ones, by the type's name."""


def check(kind: Any, document: Any) -> None:
    """Hold a document to a type."""
    try:
        read = _adapter(kind).validate_json(orjson.dumps(document), strict=True)
    except ValidationError as error:
        raise AssertionError(f"no {_name(kind)}: {str(error)[:3000]}\n{document}") from None
    unknown = list(_unknown(read, ""))
    assert not unknown, f"a {_name(kind)} has no {', '.join(unknown)}: {document}"


def check_one_of(union: Any, document: Any) -> None:
    """Hold a document to those members of a union that have its `type`."""
    assert isinstance(document, dict), document
    members = _members(union).get(document.get("type", ""))
    assert members, f"no known type: {document}"
    check(Union[members], document)  # noqa: UP007 # of a tuple


@cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


@cache
def _members(union: Any) -> dict[str, tuple[type[BaseModel], ...]]:
    found: dict[str, tuple[type[BaseModel], ...]] = {}
    for member in get_args(get_args(union)[0]):
        for name in get_args(member.model_fields["type"].annotation):
            found[name] = (*found.get(name, ()), member)
    return found


def _unknown(read: Any, path: str) -> Iterator[str]:
    if isinstance(read, BaseModel):
        more = MORE.get(type(read).__name__, set())
        yield from (path + name for name in read.model_extra or () if name not in more)
        for name in type(read).model_fields:
            yield from _unknown(getattr(read, name), f"{path}{name}.")
    elif isinstance(read, list):
        for n, each in enumerate(read):
            yield from _unknown(each, f"{path}{n}.")


def _name(kind: Any) -> str:
    return " or ".join(each.__name__ for each in get_args(kind) or (kind,))
