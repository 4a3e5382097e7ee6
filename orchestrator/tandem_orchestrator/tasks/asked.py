"""What a request to a task asks for. Decides; does no I/O."""

from typing import Any, Final, NamedTuple

from tandem_orchestrator.errors import BadRequest

FIELDS: Final = ("input", "inputs", "stream", "version")


class Asked(NamedTuple):
    """A request's fields; `inputs` is None where there is one input."""

    input: Any
    inputs: list[Any] | None
    stream: bool
    version: str | None


def asked(payload: dict[str, Any], most: int) -> Asked:
    """Return what a request asks for, of `most` inputs. Raises `BadRequest`, which names the field."""
    if unknown := sorted(payload.keys() - set(FIELDS)):
        raise BadRequest(
            f"there is no field {', '.join(f'`{name[:64]}`' for name in unknown[:5])} here; "
            f"a task takes {', '.join(FIELDS)}",
            param=unknown[0][:64],
        )
    given, inputs = payload.get("input"), payload.get("inputs")
    if (given is None) == (inputs is None):
        raise BadRequest("set either `input`, an object, or `inputs`, a list of them", param="input")
    if inputs is not None and (not isinstance(inputs, list) or not 0 < len(inputs) <= most):
        found = f", and has {len(inputs)}" if isinstance(inputs, list) else ""
        raise BadRequest(f"`inputs` must be a list of 1 to {most} objects{found}", param="inputs")
    stream, version = payload.get("stream"), payload.get("version")
    if not isinstance(stream, bool | None):
        raise BadRequest("`stream` must be true or false", param="stream")
    if not isinstance(version, str | None):
        raise BadRequest("`version` must be the name of a version", param="version")
    return Asked(given, inputs, bool(stream), version)
