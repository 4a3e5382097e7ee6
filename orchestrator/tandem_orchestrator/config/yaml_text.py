"""YAML that may hold secrets: what is wrong with it is said without a word of it."""

import re
from typing import Any, Final

import yaml

_QUOTED: Final = re.compile(r"""(['"])((?:\\.|(?!\1).)*)\1""", re.DOTALL)
_DEEPEST: Final = 128
_OWN_WORD: Final = re.compile(r"[],}?:-]|<.*")
"""What the parser quotes without having it from the text, such as '<block end>'."""


class YamlError(ValueError):
    """The text is no YAML; the message says where and why, and repeats nothing of it."""


def parse(text: str | bytes, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """Return what the text says. Raises `YamlError`."""
    try:
        if loader is not yaml.SafeLoader:
            _check_depth(text, loader)
        return yaml.load(text, loader)  # noqa: S506 # it is a safe one
    except YamlError:
        raise
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"not YAML{_position(error)}: {_QUOTED.sub(_shown, error.problem or '')}") from None
    except yaml.reader.ReaderError as error:
        raise YamlError(f"not YAML: {error.reason}") from None
    except Exception:  # noqa: BLE001 # a value that is not what its tag says fails as it likes, and is quoted
        raise YamlError("not YAML: it holds a value that cannot be read, such as the 31st of April") from None


def _check_depth(text: str | bytes, loader: type[yaml.SafeLoader]) -> None:
    """Raise `YamlError` for what is nested so deep that a loader in C would overflow the stack."""
    depth = 0
    for event in yaml.parse(text, loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise YamlError(f"nested deeper than {_DEEPEST} levels")


def _position(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""


def _shown(quoted: re.Match[str]) -> str:
    return quoted[0] if _OWN_WORD.fullmatch(quoted[2]) else "…"
