"""How replicas tell each other what they have counted.

Each message carries a replica's own counts by second, as they are by then, not what was added: reading one twice, or
late, or again after a lost connection, does no harm. Seconds are the sender's; the reader knows a message's age, so
clocks need not agree. A replica that comes, or comes back, sends all it has and gets all the others have.
"""

from collections.abc import Iterable

import orjson

from tandem_orchestrator.limits.counters import WINDOW, Window
from tandem_orchestrator.limits.subjects import Subject, Subjects

SILENCE = 5
"""Seconds after which a replica that said nothing is taken for dead, and its requests under way for ended."""


class Replica:
    """What another replica has told."""

    __slots__ = ("counted", "heard", "places", "present", "tidied")

    def __init__(self, second: int) -> None:
        self.heard = self.tidied = second
        self.present = False
        self.counted: dict[tuple[str, str, int], int] = {}
        """Counts by subject, kind and second of the replica's clock."""
        self.places: dict[str, int] = {}

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
        """Forget counts that no window holds any more, by the replica's clock."""
        self.counted = {key: count for key, count in self.counted.items() if key[2] >= theirs - 2 * WINDOW}


class Exchange:
    """Writes messages to the other replicas and reads theirs."""

    def __init__(self, subjects: Subjects, server: str, sender: str) -> None:
        self._subjects = subjects
        self._server = server
        self._sender = sender
        self._replicas: dict[str, Replica] = {}
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
        replica = self._replicas.get(message["sender"])
        if replica is None:
            replica = self._replicas[message["sender"]] = Replica(second)
        self.ask |= not replica.present and not message["complete"]
        self.tell |= message["ask"]
        replica.present, replica.heard = True, second
        theirs = message["second"]
        behind = second - int(age) - theirs
        for name, places, requests, tokens in message["counts"]:
            subject = self._subjects.get(name, second)
            self._take_places(replica, subject, places)
            _absorb(subject.requests, replica.new(name, "requests", requests), behind, second)
            _absorb(subject.tokens, replica.new(name, "tokens", tokens), behind, second)
        if message["complete"]:
            told = {name for name, *_ in message["counts"]}
            self._end_places(replica, [name for name in replica.places if name not in told], second)
        if second - replica.tidied > WINDOW:
            replica.tidied = second
            replica.tidy(theirs)

    def forget_silent(self, second: int) -> None:
        """Take replicas that said nothing for a while for gone: their counts stay, their requests under way do not."""
        for sender, replica in list(self._replicas.items()):
            if replica.present and second - replica.heard > SILENCE:
                replica.present = False
                self._end_places(replica, list(replica.places), second)
            if second - replica.heard > 2 * WINDOW:  # until then it may come back and tell again what is known
                del self._replicas[sender]

    def _take_places(self, replica: Replica, subject: Subject, places: int) -> None:
        subject.concurrency.elsewhere += places - replica.places.pop(subject.name, 0)
        if places:
            replica.places[subject.name] = places

    def _end_places(self, replica: Replica, names: list[str], second: int) -> None:
        for name in names:
            self._take_places(replica, self._subjects.get(name, second), 0)


def _absorb(window: Window, counts: list[tuple[int, int]], behind: int, second: int) -> None:
    window.at(second)
    for theirs, count in counts:
        window.absorb(theirs + behind, count)
