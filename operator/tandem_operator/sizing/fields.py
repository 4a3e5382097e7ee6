"""Fields of a model's metadata, which strangers write: every number is bounded before anything is reckoned with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from tandem_operator.sizing.shape import UnknownShapeError

_SHOWN: Final = 40


@dataclass(frozen=True)
class Fields:
    """An object in a JSON file, and where it is."""

    values: Mapping[str, Any]
    place: str
    """File and path of the object, as in messages: `config.json: ` or `config.json: text_config.`."""

    def __contains__(self, name: str) -> bool:
        return self.values.get(name) is not None

    def number(self, *names: str, most: int) -> int:
        """Return the number of the first of these names that is there; UnknownShapeError without any."""
        found = self.number_if_any(*names, most=most)
        if found is None:
            raise UnknownShapeError(f"{self.place}{names[0]} is missing; without it the model's memory is unknown")
        return found

    def number_if_any(self, *names: str, most: int) -> int | None:
        """Return the number of the first of these names that is there, or None."""
        name = next((name for name in names if name in self), None)
        return None if name is None else self._bounded(name, most)

    def inner(self, name: str) -> Self | None:
        """Return the object of a name, or None where there is none."""
        value = self.values.get(name)
        return type(self)(value, f"{self.place}{name}.") if isinstance(value, Mapping) else None

    def text(self, name: str) -> str:
        """Return the text of a name, empty where it is none."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """Return the list of texts of a name; UnknownShapeError where it is anything else."""
        value = self.values[name]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise UnknownShapeError(f"{self.place}{name} is {_shown(value)}; a list of texts is needed")
        return value

    def _bounded(self, name: str, most: int) -> int:
        value = self.values[name]
        if type(value) is not int or not 1 <= value <= most:
            raise UnknownShapeError(
                f"{self.place}{name} is {_shown(value)}; a whole number from 1 to {most:,} is needed"
            )
        return value


def _shown(value: object) -> str:
    """Return a value as messages show it: short, whatever it is."""
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
