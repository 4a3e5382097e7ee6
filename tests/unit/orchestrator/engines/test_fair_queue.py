"""Whose turn is next."""

from collections import Counter
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tandem_orchestrator.engines import fair_queue
from tandem_orchestrator.engines.fair_queue import BATCH_TURN, FairQueue
from tandem_orchestrator.engines.queue_slot import QueueSlot
from tandem_orchestrator.engines.share import Share

NO_TURN: Any = None  # which a queue does not look at
numbers = count()
weights = st.integers(1, 10)
costs = st.floats(1, 100)


def slot(tenant, cost=1.0, weight=1, *, batch=False):
    return QueueSlot("m", "m", Share(tenant, weight, batch), 1, cost, next(numbers), 0.0, 0.0, NO_TURN)


def filled(*slots):
    queue = FairQueue()
    for each in slots:
        queue.push(each)
    return queue


def order(queue):
    return "".join(queue.pop().share.tenant for _ in range(len(queue)))


def test_one_tenant_is_served_in_the_order_of_arrival():
    slots = [slot("a", cost) for cost in (5, 1, 3)]
    queue = filled(*reversed(slots))
    assert [queue.pop() for _ in slots] == slots


def test_a_flood_does_not_come_before_who_comes_later():
    queue = filled(*(slot("a") for _ in range(5)))
    assert queue.pop().share.tenant == "a"
    queue.push(slot("b"))
    assert order(queue) == "baaaa"


def test_tenants_take_turns_by_weight():
    queue = filled(*(slot("a") for _ in range(6)), *(slot("b", weight=2) for _ in range(6)))
    assert order(queue) == "abbabbabbaaa"


def test_large_requests_cost_more_turns():
    queue = filled(*(slot("a", cost=3) for _ in range(3)), *(slot("b") for _ in range(6)))
    assert order(queue) == "abbbabbba"


def test_who_was_away_has_saved_up_nothing():
    queue = filled(slot("b"), *(slot("a") for _ in range(9)))
    for _ in range(7):
        queue.pop()
    for _ in range(3):
        queue.push(slot("b"))
    assert order(queue) == "bababa"


def test_who_comes_again_at_once_does_not_keep_others_waiting():
    queue = filled(slot("b"), *(slot("a") for _ in range(3)))
    served = ""
    for _ in range(5):
        tenant = queue.pop().share.tenant
        served += tenant
        if tenant == "b":
            queue.push(slot("b"))
    assert served == "baaba"


def test_what_left_unserved_costs_nothing():
    queue = filled(*(slot("b") for _ in range(2)))
    for _ in range(1000):
        left = slot("a", cost=1000)
        queue.push(left)
        queue.remove(left)
    queue.push(slot("a"))
    assert order(queue) == "bab"


def test_who_comes_back_is_next_and_pays_once():
    first, second = slot("a"), slot("a")
    queue = filled(first, second, slot("b"), slot("b"))
    assert queue.pop() is first
    queue.push(first)
    assert queue.pop() is first
    assert order(queue) == "bab"


def test_batch_gets_little_and_never_nothing():
    queue = filled(*(slot("i") for _ in range(40)), *(slot("b", batch=True) for _ in range(3)))
    served = order(queue)
    assert [place for place, tenant in enumerate(served) if tenant == "b"] == [BATCH_TURN - 1, 2 * BATCH_TURN - 1, 42]


def test_batch_has_all_of_what_nobody_else_wants():
    queue = filled(*(slot("b", batch=True) for _ in range(40)))
    assert order(queue) == "b" * 40
    queue.push(slot("b", batch=True))
    queue.push(slot("i"))
    assert order(queue) == "ib"


@given(
    st.lists(st.tuples(st.sampled_from("abc"), costs), min_size=1), st.fixed_dictionaries(dict.fromkeys("abc", weights))
)
def test_weights_are_kept_within_the_cost_of_one_request(requests, weight):
    queue = filled(*(slot(tenant, cost, weight[tenant]) for tenant, cost in requests))
    left = Counter(tenant for tenant, _ in requests)
    most = {tenant: max((cost for name, cost in requests if name == tenant), default=0) for tenant in "abc"}
    paid = dict.fromkeys("abc", 0.0)
    while queue:
        served = queue.pop()
        tenant = served.share.tenant
        paid[tenant] += served.cost / weight[tenant]
        for other in "abc":
            if left[other]:  # it has waited all the time
                assert paid[tenant] - paid[other] <= most[tenant] / weight[tenant] + 1e-9 + most[other] / weight[other]
        left[tenant] -= 1


class Model(RuleBasedStateMachine):
    """The queue beside a plain list of who waits, over all that may happen."""

    def __init__(self):
        super().__init__()
        self.queue = FairQueue()
        self.waiting = []
        self.away = []
        self.tenants = set()

    @rule(tenant=st.sampled_from("abcdefgh"), cost=costs, batch=st.booleans())
    def push(self, tenant, cost, batch):
        new = slot(tenant, cost, batch=batch)
        self.queue.push(new)
        self.waiting.append(new)

    @precondition(lambda self: self.waiting)
    @rule()
    def pop(self):
        served = self.queue.pop()
        rivals = [other for other in self.waiting if other.share == served.share]
        assert served is min(rivals, key=lambda other: other.number)
        self.waiting.remove(served)
        self.away.append(served)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data):
        left = data.draw(st.sampled_from(self.waiting))
        self.queue.remove(left)
        self.waiting.remove(left)

    @precondition(lambda self: self.away)
    @rule(data=st.data())
    def come_back(self, data):
        back = data.draw(st.sampled_from(self.away))
        self.away.remove(back)
        self.queue.push(back)
        self.waiting.append(back)

    @invariant()
    def nobody_is_lost_and_nothing_stays_behind(self):
        assert len(self.queue) == len(self.waiting)
        for batch, turns in ((False, self.queue._interactive), (True, self.queue._batch)):
            there = {other.share.tenant for other in self.waiting if other.share.batch is batch}
            assert turns._flows.keys() == there == {tenant for *_, tenant in turns._order}
            assert turns._order == sorted(turns._order)
            assert not turns._idle.keys() & there


TestModel = Model.TestCase


def test_tenants_that_have_gone_are_forgotten(monkeypatch):
    monkeypatch.setattr(fair_queue, "MOST_IDLE", 10)
    queue = FairQueue()
    for number in range(100):
        queue.push(slot(f"t{number}"))
        queue.pop()
    assert len(queue._interactive._idle) <= 10
    assert not queue._interactive._flows
