"""Limits that hold across replicas of the orchestrator, by way of Redis and never in a request's way.

Peers tell each other what they have counted. Each message carries a peer's own counts by second, as they are by then,
not what was added: reading one twice, or late, or again after a lost connection, does no harm. Seconds are the
sender's; the reader knows a message's age, so clocks need not agree. A peer that comes, or comes back, sends all it has
and gets all the others have.
"""

import asyncio
import random
from collections.abc import Callable, Iterable
from secrets import token_hex
from time import monotonic
from typing import Final

import orjson
import structlog

from tandem_orchestrator.limits.counters import WINDOW, Window
from tandem_orchestrator.limits.haste import pause
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.limits.redis_stream import KEPT_SECONDS, Message, RedisStream
from tandem_orchestrator.limits.subjects import Subject, Subjects
from tandem_orchestrator.observability.metrics import LIMITS_SHARED
from tandem_orchestrator.store.redis import RedisStore
from tandem_orchestrator.store.script import RedisDown

SIGN_OF_LIFE: Final = 1.0
"""Seconds after which a replica says something even if it has nothing to tell."""
MOST_BACKOFF: Final = 5.0
SILENCE: Final = 5
"""Seconds after which a peer that said nothing is taken for dead, and its requests under way for ended."""

log = structlog.get_logger()


class Sharing:
    """Tells its peers what was counted here, and the limiter what was counted there."""

    def __init__(self, limiter: Limiter, redis: RedisStore, every: float, clock: Callable[[], float]) -> None:
        self._limiter = limiter
        self._every = every
        self._clock = clock
        self._stream = RedisStream(redis)
        self._messages = Messages(limiter.subjects, limiter.server, token_hex(8))
        self._since = 0
        self._told = self._read_at = float("-inf")
        self._busy = asyncio.Lock()
        self.problem: str | None = None
        """What keeps limits from holding across replicas."""
        self._shared: bool | None = None
        limiter.changed = {}

    async def watch(self) -> None:
        """Share counts again and again; run until cancelled."""
        delay = self._every
        while True:
            # Broken off, nobody would know whether it came about; and redis-py loses some cancellations.
            done = await asyncio.shield(self.sync())
            delay = self._every if done else min(delay * 2, MOST_BACKOFF)
            uneven = delay * random.uniform(0.8, 1.2)  # noqa: S311
            await (pause(uneven, self._limiter.tell_soon) if done else asyncio.sleep(uneven))

    async def sync(self) -> bool:
        """Send and read what is new among peers in one round trip; return whether that came about."""
        async with self._busy:
            try:
                for message in await self._pass_on_and_read():
                    self._read(message)
            except RedisDown as error:
                self._note(str(error))
                return False
            self._messages.forget_silent(int(self._clock()))
            self._note(None)
            return True

    async def _pass_on_and_read(self) -> list[Message]:
        if monotonic() - self._read_at > KEPT_SECONDS / 2:
            self._rejoin()
        second = int(self._clock())
        changed, self._limiter.changed = self._limiter.changed or {}, {}
        message = b""
        if changed or self._messages.due or monotonic() - self._told >= SIGN_OF_LIFE:
            message = self._messages.write(changed, self._since, second)
        try:
            found = await self._stream.append_and_read(message)
        except RedisDown:
            self._rejoin()  # and tell everything again
            raise
        self._read_at = monotonic()
        if message:
            self._messages.sent()
            self._since, self._told = second, self._read_at
        return found

    def _rejoin(self) -> None:
        """Leave aside what stands there, as messages may have been missed, and ask everybody for all they have."""
        self._stream.skip()
        self._messages.ask = True

    def _read(self, message: Message) -> None:
        try:
            self._messages.read(message.text, message.age, int(self._clock()))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("what another replica counted cannot be read", problem=f"{type(error).__name__}: {error}")

    def _note(self, problem: str | None) -> None:
        self.problem = problem
        shared = problem is None
        LIMITS_SHARED.set(shared)
        if shared != self._shared:
            if shared:
                log.info("limits hold across replicas")
            else:
                log.warning("Redis cannot be used, limits hold for this replica alone", problem=problem)
        self._shared = shared


class Peer:
    """What another peer has told."""

    __slots__ = ("concurrency", "counted", "heard", "present", "tidied")

    def __init__(self, second: int) -> None:
        self.heard = self.tidied = second
        self.present = False
        self.counted: dict[tuple[str, str, int], int] = {}
        """Counts by subject, kind and second of the peer's clock."""
        self.concurrency: dict[str, int] = {}

    def new(self, name: str, kind: str, counts: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return what of these counts by second was not known."""
        found = []
        for second, count in counts:
            before = self.counted.get((name, kind, second), 0)
            if count > before:
                self.counted[name, kind, second] = count
                found.append((second, count - before))
        return found

    def tidy(self, theirs: int) -> None:
        """Forget counts that no window holds any more, by the peer's clock."""
        self.counted = {key: count for key, count in self.counted.items() if key[2] >= theirs - 2 * WINDOW}


class Messages:
    """What is written to peers, and what is read of theirs."""

    def __init__(self, subjects: Subjects, server: str, sender: str) -> None:
        self._subjects = subjects
        self._server = server
        self._sender = sender
        self._peers: dict[str, Peer] = {}
        self.ask = True
        """Whether the others are to be asked for all they have."""
        self.tell = True
        """Whether another needs all that is here."""

    @property
    def due(self) -> bool:
        """Whether a message is, even if nothing changed here."""
        return self.ask or self.tell

    def write(self, changed: Iterable[Subject], since: int, second: int) -> bytes:
        """Return a message about what these subjects counted from the second `since` on, or about all, where that is
        due.
        """
        complete = self.due
        if complete:
            changed, since = self._subjects, 0
        message = {
            "server": self._server,
            "sender": self._sender,
            "second": second,
            "ask": self.ask,
            "complete": complete,
            "counts": [
                [subject.name, subject.concurrency.here, subject.requests.own(since), subject.tokens.own(since)]
                for subject in changed
            ],
        }
        return orjson.dumps(message)

    def sent(self) -> None:
        """Note that the message reached the others."""
        self.ask = self.tell = False

    def read(self, payload: bytes, age: float, second: int) -> None:
        """Take in a message that was sent `age` seconds ago."""
        message = orjson.loads(payload)
        if message["server"] == self._server:
            return
        peer = self._peers.get(message["sender"])
        if peer is None:
            peer = self._peers[message["sender"]] = Peer(second)
        self.ask |= not peer.present and not message["complete"]
        self.tell |= message["ask"]
        peer.present, peer.heard = True, second
        theirs = message["second"]
        behind = second - int(age) - theirs
        for name, concurrency, requests, tokens in message["counts"]:
            subject = self._subjects.get(name, second)
            self._take_concurrency(peer, subject, concurrency)
            _absorb(subject.requests, peer.new(name, "requests", requests), behind, second)
            _absorb(subject.tokens, peer.new(name, "tokens", tokens), behind, second)
        if message["complete"]:
            told = {name for name, *_ in message["counts"]}
            self._end_concurrency(peer, [name for name in peer.concurrency if name not in told], second)
        if second - peer.tidied > WINDOW:
            peer.tidied = second
            peer.tidy(theirs)

    def forget_silent(self, second: int) -> None:
        """Take peers that said nothing for a while for gone: their counts stay, their requests under way do not."""
        for sender, peer in list(self._peers.items()):
            if peer.present and second - peer.heard > SILENCE:
                peer.present = False
                self._end_concurrency(peer, list(peer.concurrency), second)
            if second - peer.heard > 2 * WINDOW:  # until then it may come back and tell again what is known
                del self._peers[sender]

    def _take_concurrency(self, peer: Peer, subject: Subject, concurrency: int) -> None:
        subject.concurrency.elsewhere += concurrency - peer.concurrency.pop(subject.name, 0)
        if concurrency:
            peer.concurrency[subject.name] = concurrency

    def _end_concurrency(self, peer: Peer, names: list[str], second: int) -> None:
        for name in names:
            self._take_concurrency(peer, self._subjects.get(name, second), 0)


def _absorb(window: Window, counts: list[tuple[int, int]], behind: int, second: int) -> None:
    window.at(second)
    for theirs, count in counts:
        window.absorb(theirs + behind, count)
