import pytest
from tandem_orchestrator.limits.sharing import SILENCE, Messages

from tests.unit.orchestrator.limits.clock import Clock, admitted, key, limiter_for


class Replica:
    """A limiter that talks to others; its clock may be wrong."""

    def __init__(self, name: str, clock: Clock, wrong: int = 0, **limits: int) -> None:
        self.limiter = limiter_for(clock, **limits)
        self.limiter._clock = lambda: clock() + wrong
        self.limiter.changed = {}
        self.messages = Messages(self.limiter.subjects, name, name)
        self.since = 0

    @property
    def second(self) -> int:
        return int(self.limiter._clock())

    def say(self) -> bytes:
        message = self.messages.write(self.limiter.changed or {}, self.since, self.second)
        self.messages.sent()
        self.since = self.second
        self.limiter.changed = {}
        return message

    def hear(self, *messages: bytes, age: float = 0.1) -> None:
        for message in messages:
            self.messages.read(message, age, self.second)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pair(clock):
    one, two = Replica("one", clock), Replica("two", clock)
    meet(one, two)
    return one, two


def meet(*replicas: Replica) -> None:
    for _ in range(2):
        said = [(each, each.say()) for each in replicas]
        for each in replicas:
            each.hear(*(message for other, message in said if other is not each))


def test_what_one_counts_the_other_knows(pair):
    one, two = pair
    principal = key(requests_per_minute=10, tokens_per_minute=50)
    admitted(one.limiter, principal, 6)[0].settle(20)
    two.hear(one.say())
    tickets = admitted(two.limiter, principal, 10)
    assert len(tickets) == 4
    assert dict(tickets[0].headers)[b"x-ratelimit-remaining-tokens"] == b"30"


def test_reading_a_message_again_changes_nothing(pair):
    one, two = pair
    admitted(one.limiter, key(requests_per_minute=10), 2)
    early = one.say()
    admitted(one.limiter, key(requests_per_minute=10), 4)
    late = one.say()
    two.hear(early, late, early, late, late, early)
    assert len(admitted(two.limiter, key(requests_per_minute=10), 10)) == 4


def test_a_lost_message_is_made_up_for(pair, clock):
    one, two = pair
    principal = key(requests_per_minute=10)
    admitted(one.limiter, principal, 3)
    one.say()
    clock.now += 5
    one.messages.ask = True
    admitted(one.limiter, principal, 2)
    two.hear(one.say())
    assert two.messages.tell
    assert len(admitted(two.limiter, principal, 10)) == 5
    clock.now += 56
    assert len(admitted(two.limiter, principal, 10)) == 3


def test_only_what_changed_is_said(pair, clock):
    one, _ = pair
    admitted(one.limiter, key("a", requests_per_minute=10), 3)
    one.say()
    clock.now += 10
    admitted(one.limiter, key("b", requests_per_minute=10), 3)
    message = one.say()
    assert b"key:b" in message
    assert b"key:a" not in message


def test_a_newcomer_asks_and_is_told_everything(pair, clock):
    one, two = pair
    principal = key(requests_per_minute=10, concurrent_requests=3)
    admitted(one.limiter, principal, 2)
    two.hear(one.say())
    clock.now += 20
    three = Replica("three", clock)
    said = three.say()
    one.hear(said)
    two.hear(said)
    three.hear(one.say(), two.say())
    assert len(admitted(three.limiter, principal, 10)) == 1


def test_requests_under_way_are_shared(pair):
    one, two = pair
    principal = key(concurrent_requests=3)
    first, *_ = admitted(one.limiter, principal, 2)
    two.hear(one.say())
    assert len(admitted(two.limiter, principal, 9)) == 1
    first.settle(0)
    two.hear(one.say())
    assert len(admitted(two.limiter, principal, 9)) == 1


def test_a_dead_replicas_requests_are_forgotten_and_its_counts_are_not(pair, clock):
    one, two = pair
    principal = key(concurrent_requests=2, requests_per_minute=5)
    admitted(one.limiter, principal, 2)
    two.hear(one.say())
    assert not admitted(two.limiter, principal, 9)
    clock.now += SILENCE + 1
    two.messages.forget_silent(two.second)
    assert len(admitted(two.limiter, principal, 9)) == 2
    two.hear(one.say())  # it was only slow: it is asked for everything, and that does not count twice
    assert two.messages.ask
    one.hear(two.say())
    two.hear(one.say())
    subject = two.limiter.subjects.get("key:a", two.second)
    assert (subject.concurrency.elsewhere, subject.requests.at(two.second)) == (2, 4)


def test_a_complete_message_ends_what_it_does_not_name(pair, clock):
    one, two = pair
    principal = key(concurrent_requests=1)
    ticket = one.limiter.admit(principal)
    two.hear(one.say())
    ticket.settle(0)
    one.say()  # lost
    clock.now += 61
    one.limiter.sweep()
    one.messages.ask = True
    two.hear(one.say())
    assert len(admitted(two.limiter, principal, 5)) == 1


def test_workers_of_one_server_do_not_count_each_other_twice(clock):
    one, sibling = Replica("server", clock), Replica("server", clock)
    admitted(one.limiter, key(requests_per_minute=10), 6)
    sibling.hear(one.say())
    assert len(admitted(sibling.limiter, key(requests_per_minute=10), 20)) == 10


def test_clocks_need_not_agree(clock):
    one, two = Replica("one", clock, wrong=-3000), Replica("two", clock)
    meet(one, two)
    principal = key(requests_per_minute=10)
    admitted(one.limiter, principal, 6)
    two.hear(one.say())
    assert len(admitted(two.limiter, principal, 10)) == 4
    clock.now += 61
    assert len(admitted(two.limiter, principal, 20)) == 10


def test_old_messages_count_by_their_age(pair):
    one, two = pair
    admitted(one.limiter, key(requests_per_minute=10), 6)
    two.hear(one.say(), age=120)
    assert len(admitted(two.limiter, key(requests_per_minute=10), 20)) == 10


def test_what_is_remembered_of_a_replica_is_bounded(pair, clock):
    one, two = pair
    for _ in range(500):
        admitted(one.limiter, key(requests_per_minute=10), 1)
        two.hear(one.say())
        clock.now += 1
    (replica,) = two.messages._peers.values()
    assert len(replica.counted) < 200
    clock.now += 200
    two.messages.forget_silent(two.second)
    assert not two.messages._peers
