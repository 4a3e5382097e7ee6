"""What is asked of a type of engine."""

import re
from typing import Any, Final

FULL: Final = 503


class EngineType:
    """How engines of one type differ from others; a subclass says what it knows."""

    takes_cache_salt = False
    """Requests may carry `cache_salt`, which keeps the tenants' cached prefixes apart."""
    health_path: str | None = None
    """Where the engine tells that it is ill though it answers."""
    reasoning_field = "reasoning_content"
    """What a message calls what was thought."""
    tokens_path: str | None = None
    """Where the engine tells how many tokens a chat is; it is sent what is sent for an answer."""
    load_path: str | None = None
    """Where the engine tells how busy it is."""
    full_status = FULL
    """The status by which it refuses what would wait too long in it."""
    full_words: tuple[str, ...] = ()
    """What it then says, where the status may mean something else."""

    loads_adapters = False
    """It loads and forgets adapters while it serves."""
    half_dropped_words: str | None = None
    """What it says of an adapter that it forgot by half, and loads again once it is told to forget it once more."""
    adapter_field: str | None = None
    """The field by which requests ask for an adapter, where its name as the model would be answered by the model."""

    def load_adapter(self, name: str, path: str) -> tuple[str, dict[str, Any]]:
        """Return where it is told to load an adapter, and what it is told."""
        raise NotImplementedError

    def drop_adapter(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return where it is told to forget an adapter, and what it is told."""
        raise NotImplementedError

    def prefers_responses(self, model: str) -> bool:  # noqa: ARG002 # for subclasses
        """Return whether the engine's own `/v1/responses` does more for a model than its chat completions."""
        return False

    def counts(self, raw: bytes) -> tuple[int, int] | None:  # noqa: ARG002 # for subclasses
        """Return how many requests wait and run inside the engine, read from what it answers at `load_path`.

        None if it does not say.
        """
        return None

    def progress(self, raw: bytes) -> object:  # noqa: ARG002 # for subclasses
        """Return what the engine tells at `load_path` of how far it is: another value whenever it has done something.

        None if it does not say.
        """
        return None

    def kv_tokens(self, raw: bytes) -> int | None:  # noqa: ARG002 # for subclasses
        """Return for how many tokens its cache has room, read from the same; None if it does not say."""
        return None

    def least(self, model: str) -> list[tuple[str, dict[str, Any]]]:  # noqa: ARG002 # for subclasses
        """Return the paths and bodies of the least that it may be asked to make, of which it knows one at least."""
        return []

    def models(self, listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the entries of its list of models under the names by which requests may ask for them."""
        return listed

    def tokens(self, answer: dict[str, Any], listed: list[dict[str, Any]]) -> tuple[int, int] | None:  # noqa: ARG002
        """Return how many tokens a chat is and how many one may be, from what it answers at `tokens_path`.

        `listed`: its list of models. None if it does not say.
        """
        found, most = answer.get("count"), answer.get("max_model_len")
        return (found, most) if isinstance(found, int) and isinstance(most, int) else None

    def is_full(self, status: int, said: str) -> bool:
        """Return whether a refusal means that too many requests wait inside, and nothing worse."""
        return status == self.full_status and any(words in said for words in self.full_words)


class Gauges:
    """Two gauges in Prometheus' text format, each summed over its lines: of what waits, and of what runs."""

    def __init__(self, waiting: bytes, running: bytes) -> None:
        self._waiting = waiting
        names = b"|".join(map(re.escape, (waiting, running)))
        self._line = re.compile(rb"^(" + names + rb")(?:\{[^}]*\})? (\S+)", re.MULTILINE)

    def read(self, raw: bytes) -> tuple[int, int] | None:
        """Return both, None if there is no number of what waits."""
        waits, runs, told = 0.0, 0.0, False
        try:
            for name, value in self._line.findall(raw):
                if name == self._waiting:
                    waits, told = waits + float(value), True
                else:
                    runs += float(value)
            return (int(waits), int(runs)) if told else None
        except (ValueError, OverflowError):  # no number, or one that no count is
            return None
