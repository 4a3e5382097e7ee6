"""Whether an engine that has work hangs, judged by what it tells of its iterations; does no I/O.

An engine's server may go on answering /health and /metrics while what generates is stuck (vllm#36451). One that is slow
or has many waiting iterates all the same. Where nothing moves for a while although there is work, the engine is asked
for a single token, so that what keeps a server from passing a request on is not taken for a hang of what generates.
"""

from enum import Enum, auto

from tandem_contract.progress import Progress

from tandem_orchestrator.errors import EngineError

DOUBT_SECONDS = 30.0  # of standing still with work, after which the engine is asked for a token
HUNG_SECONDS = (
    90.0  # a replacement must be there within 180 s; no engine needs so long for one iteration or a first one
)
LONGEST_GAP = 10.0  # between two answers that counts as standing still: nobody knows what happens without any


class Question(Enum):
    """What has become of the token that the engine was asked for."""

    NONE = auto()
    OPEN = auto()
    REFUSED = auto()
    """It is nothing that the engine makes, or too much waits for it."""


class Stall:
    """What an engine's own word of its progress, taken again and again, says about it."""

    __slots__ = ("_looked_at", "_mark", "_moved_at", "made_at", "orders", "question", "seconds", "trouble")

    def __init__(self) -> None:
        self.seconds = 0.0
        """Of work, for which it has not moved."""
        self.trouble: EngineError | None = None
        """What there is to say of one that hangs."""
        self.question = Question.NONE
        self.made_at = 0.0
        """When it last made something; a refusal may come from a server that can make nothing any more."""
        self.orders = 0
        """Given to it, such as to load an adapter, and not done yet: all else may wait for them."""
        self._mark: object = None
        self._looked_at = 0.0
        self._moved_at = float("-inf")

    @property
    def hangs(self) -> bool:
        """True from when it is sure until it moves."""
        return self.trouble is not None

    @property
    def in_doubt(self) -> bool:
        """True while the engine should be asked for a token."""
        return self.seconds >= DOUBT_SECONDS and self.question is Question.NONE

    def progress(self, now: float) -> Progress | None:
        """Return how it gets on; None if it has no work, or tells nothing at the moment."""
        if now - self._moved_at < DOUBT_SECONDS:
            return Progress.MOVES
        if self.seconds < DOUBT_SECONDS or now - self._looked_at > LONGEST_GAP:
            return None
        return Progress.HANGS if self.hangs else Progress.STANDS

    def seen(self, now: float, told: object, *, runs: bool, sent: int) -> None:
        """Note what an engine tells of its progress at `now`, in seconds; something else than before is a movement.

        `runs` tells whether it says itself that it has work, which need not be true of one that hangs; `sent` is how
        many requests of ours it has. Time without work is taken off: a request may end before what generates, and many
        such, one now and then, prove nothing.
        """
        mark = (told, self.made_at, now if self.orders else 0.0)
        gap = min(now - self._looked_at, LONGEST_GAP)
        self._looked_at = now
        if mark != self._mark:
            if self._mark is not None:
                self._moved_at = now
            self._mark = mark
            self._move()
            return
        works = runs or sent > 0 or self.question is Question.OPEN
        self.seconds = max(0.0, self.seconds + (gap if works else -gap))
        proven = self.question is Question.OPEN or (runs and self.question is Question.REFUSED)
        if not self.hangs and proven and self.seconds >= HUNG_SECONDS:
            since = f"no iteration for {self.seconds:.0f} s, with {sent} of our requests in flight"
            self.trouble = EngineError(f"the engine hangs: {since}")

    def forget(self) -> None:
        """Begin anew, as the engine tells of its progress no more."""
        self._mark = None
        self._move()

    def _move(self) -> None:
        self.seconds, self.trouble = 0.0, None
        if self.question is Question.REFUSED:
            self.question = Question.NONE
