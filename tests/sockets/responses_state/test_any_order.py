"""Whatever is done in whatever order, by processes that die or not: the database holds what a model in memory holds."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tandem_contract.config import Database as Settings
from tandem_orchestrator.errors import BadRequest, Gone, NotFound
from tandem_orchestrator.responses.queue import Run
from tandem_orchestrator.responses.retention import Retention
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.store.database import Database
from tandem_orchestrator.store.leases import LEASE_MS

from tests.sockets.responses_state.kept import TABLES, counts, query, stored, told, true_counts
from tests.sockets.running import config_for


async def finished(process, response, news, items):
    """Whether a process could end a response, be it as failed where its conversation is gone."""
    try:
        try:
            await process.runs.finish(response, news, items)
        except NotFound:  # which says nothing of whose response it is
            response.status = "failed"
            await process.runs.finish(response, news)
    except Gone:
        return False
    return True


TENANTS = ("a", "b")
DAY = 86_400_000
HOUR = 3_600_000
ENDED = ("completed", "incomplete", "failed")
SETTINGS = config_for(
    upstreams=[{"name": "engine", "url": "http://127.0.0.1:9", "model": "double"}], responses={"retentionDays": 1}
)
pick = st.integers(0, 10**6)
tenant = st.sampled_from(TENANTS)
often_completed = st.sampled_from([*["completed"] * 4, *ENDED])
foreign = st.sampled_from([False, False, False, True])


@dataclass
class Known:
    """A response as it should be."""

    response: Any
    created: int
    owner: str | None = None
    """Who makes it: "" while it is queued, None once it has ended."""
    told: int = 0
    made: int = 0
    attempts: int = 0
    hidden: bool = False


@dataclass
class Talk:
    tenant: str
    used: int
    items: list[str] = field(default_factory=list)


class AnyOrder(RuleBasedStateMachine):
    """`clock`, `loop` and `database` are the test's."""

    clock: list[int]
    loop: asyncio.Runner
    database: Database

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(doing)

    @initialize()
    def start(self):
        self.run(self.emptied())
        self.kept = Stores(self.database)
        self.retention = Retention(SETTINGS, self.kept)
        self.processes: list[Stores] = []
        self.lives: dict[str, int] = {}
        self.known: dict[str, Known] = {}
        self.talks: dict[str, Talk] = {}
        for _ in range(2):
            self.begin_process()

    async def emptied(self):
        for table in TABLES:
            await query(self.database, f"DELETE FROM {table}")

    def begin_process(self):
        process = Stores(self.database)
        self.run(process.leases.live())
        self.processes.append(process)
        self.lives[process.leases.owner] = self.clock[0] + LEASE_MS

    def process(self, number):
        process = self.processes[number % len(self.processes)]
        self.run(process.leases.live())
        self.lives[process.leases.owner] = self.clock[0] + LEASE_MS
        return process

    def one(self, number, among):
        found = sorted(among)
        return found[number % len(found)] if found else None

    def asking(self, key, *, foreign):
        """The tenant of a response, or another one."""
        mine = self.known[key].response.tenant
        return next(each for each in TENANTS if (each == mine) is not foreign)

    def new(self, tenant, number, *, status, background=False, compacted=False):
        """A response that begins, continues another one, or stands in a conversation."""
        mine = [
            None,
            *(key for key, known in self.known.items() if self.visible(key, tenant) and self.continuable(known)),
            *(key for key, talk in self.talks.items() if talk.tenant == tenant),
        ]
        found = sorted(mine, key=lambda key: ("", "") if key is None else (key.rpartition("_")[2], key))
        chosen = found[-1 - number % min(len(found), 4)]  # most often one of the last ones, so that chains grow long
        where = {"conversation_id" if chosen in self.talks else "previous_id": chosen}
        return stored(tenant, status=status, background=background, compacted=compacted, **where)

    def visible(self, key, tenant):
        known = self.known[key]
        return known.response.tenant == tenant and not known.hidden

    def continuable(self, known):
        return known.owner is None and known.response.status in ("completed", "incomplete")

    def enter(self, response, **fields):
        self.clock[0] += 1
        self.known[response.id] = Known(response, self.clock[0], **fields)
        return self.known[response.id]

    @rule(tenant=tenant, number=pick, status=often_completed, compacted=st.sampled_from([False, False, True]))
    def add(self, tenant, number, status, compacted):
        response = self.new(tenant, number, status=status, compacted=compacted)
        self.enter(response)
        items = orjson.loads(response.input) + orjson.loads(response.output)
        self.run(self.kept.responses.add(response, items))
        self.enter_items(response, items)

    def enter_items(self, response, items):
        if response.conversation_id in self.talks:
            self.talks[response.conversation_id].items += [item["id"] for item in items]
            self.talks[response.conversation_id].used = self.clock[0]

    @rule(tenant=tenant, number=pick, by=pick)
    def begin(self, tenant, number, by):
        process = self.process(by)
        response = self.new(tenant, number, status="in_progress")
        self.enter(response, owner=process.leases.owner)
        self.run(process.runs.begin(response))

    @rule(tenant=tenant, number=pick, stream=st.booleans())
    def enqueue(self, tenant, number, stream):
        response = self.new(tenant, number, status="queued", background=True)
        known = self.enter(response, owner="", told=2 if stream else 0)
        known.made = self.clock[0]
        self.run(self.kept.queue.enqueue(response, "double", "{}", 1000, told(0, 2) if stream else None))

    @rule(by=pick, most=st.integers(1, 3))
    def claim(self, by, most):
        process = self.process(by)
        waiting = sum(known.owner == "" for known in self.known.values())
        taken = self.run(process.queue.claim(most, []))
        assert len(taken) == min(most, waiting)
        self.take(process, taken)

    @rule(by=pick)
    def take_over(self, by):
        process = self.process(by)
        left = {
            key for key, known in self.known.items() if known.owner and self.lives.get(known.owner, 0) < self.clock[0]
        }
        taken = self.run(process.queue.claim_left(1000, 0))
        assert {run.id for run in taken} == (left if process.leases.settled else set())
        self.take(process, taken)

    def take(self, process, taken):
        for run in taken:
            known = self.known[run.id]
            known.owner, known.attempts = process.leases.owner, known.attempts + 1
            assert (run.tenant, run.attempts) == (known.response.tenant, known.attempts)

    def in_making(self, number):
        return self.one(number, [key for key, known in self.known.items() if known.owner])

    @precondition(lambda self: any(known.owner for known in self.known.values()))
    @rule(number=pick, by=pick, events=st.integers(1, 4), last=st.sampled_from(["tell", "step", *ENDED]))
    def go_on(self, number, by, events, last):
        """By whoever makes it, or believes so."""
        known, process = self.known[self.in_making(number)], self.process(by)
        response, mine = known.response, known.owner == process.leases.owner
        news = told(known.told, events)
        if last == "tell":
            self.run(process.runs.tell(response.tenant, response.id, news))
        elif last == "step":
            self.run(process.runs.step(response, news, news.last + 1, in_tools=False))
        else:
            items = orjson.loads(response.input) + orjson.loads(response.output)
            ended = stored(response.tenant, status=last, input=response.input, output=response.output)
            ended.id, ended.previous_id = response.id, response.previous_id
            ended.conversation_id, ended.resource = response.conversation_id, response.resource
            assert self.run(finished(process, ended, news, items)) is mine
            if mine:
                response.status = ended.status
                known.owner = None
                self.enter_items(response, items)
        if mine:
            known.told, known.made = known.told + events, self.clock[0]

    @rule(number=pick, by=pick)
    def give_back(self, number, by):
        key, process = self.in_making(number), self.process(by)
        if key is not None:
            known = self.known[key]
            run = Run(known.response.tenant, key, known.attempts, 0, "{}")
            self.run(process.queue.release(run, 0, None, counts=True))
            if known.owner == process.leases.owner:
                known.owner = ""

    @rule(number=pick)
    def crash(self, number):
        self.processes.pop(number % len(self.processes))
        self.begin_process()

    @rule(passed=st.sampled_from([1000, LEASE_MS + 1, LEASE_MS + 1, HOUR + 1, DAY + 1]))
    def wait(self, passed):
        self.clock[0] += passed

    @rule(number=pick, foreign=foreign)
    def cancel(self, number, foreign):
        key = self.one(number, self.known)
        if key is None:
            return
        known, tenant = self.known[key], self.asking(key, foreign=foreign)
        try:
            shown = self.run(self.kept.queue.cancel(tenant, key, self.kept.responses))
        except NotFound:
            assert not self.visible(key, tenant)
        except BadRequest:
            assert not orjson.loads(known.response.resource)["background"]
        else:
            assert self.visible(key, tenant)
            if known.owner is not None:
                known.owner, known.response.status = None, "cancelled"
            assert shown.status == known.response.status

    @rule(number=pick, foreign=foreign)
    def delete(self, number, foreign):
        key = self.one(number, self.known)
        if key is None:
            return
        tenant = self.asking(key, foreign=foreign)
        if not self.visible(key, tenant):
            with pytest.raises(NotFound):
                self.run(self.kept.responses.delete(tenant, key))
            return
        self.run(self.kept.responses.delete(tenant, key))
        self.known[key].hidden = True
        self.forget_hidden()

    @rule(number=pick)
    def delete_from_the_first_on(self, number):
        """All that a response continues, and at last it too."""
        key = self.one(number, self.known)
        chain: list[str] = []
        while key is not None:
            chain.insert(0, key)
            key = self.known[key].response.previous_id
        for each in chain:
            tenant = self.known[each].response.tenant
            if self.visible(each, tenant):
                self.run(self.kept.responses.delete(tenant, each))
                self.known[each].hidden = True
                self.forget_hidden()

    def forget_hidden(self):
        """What is hidden and continued by nothing is not kept."""
        while gone := {key for key, known in self.known.items() if known.hidden} - {
            known.response.previous_id for known in self.known.values()
        }:
            for key in gone:
                del self.known[key]

    @rule(tenant=tenant)
    def converse(self, tenant):
        body = {"items": [{"role": "user", "content": "hello"}]}
        made = self.run(self.kept.conversations.create(tenant, body))
        items = self.run(self.kept.responses.conversation_items(tenant, made["id"]))
        self.talks[made["id"]] = Talk(tenant, self.clock[0], [item["id"] for item in items])

    @rule(number=pick, tenant=tenant)
    def change_conversation(self, number, tenant):
        key = self.one(number, self.talks)
        if key is None:
            return
        talk = self.talks[key]
        body = {"items": [{"role": "user", "content": "hello"}] * 2}
        conversations = self.kept.conversations
        if talk.tenant != tenant:
            for doing in (
                conversations.add_items(tenant, key, body),
                conversations.delete_item(tenant, key, talk.items[0] if talk.items else "msg_x"),
                conversations.delete(tenant, key),
            ):
                with pytest.raises(NotFound):
                    self.run(doing)
        elif number % 3 == 0:
            self.run(conversations.delete(tenant, key))
            del self.talks[key]
        elif number % 3 == 1 and talk.items:
            self.run(conversations.delete_item(tenant, key, talk.items.pop(number % len(talk.items))))
        else:
            page = self.run(conversations.add_items(tenant, key, body))
            talk.items += [item["id"] for item in page["data"]]
            talk.used = self.clock[0]

    @rule()
    def sweep(self):
        self.run(self.retention.sweep())
        moment = self.clock[0]
        for known in self.known.values():
            if known.owner is None and known.created < moment - DAY:
                known.hidden = True
            if known.owner is None and known.made < moment - HOUR:
                known.told = -1  # or some of them
        self.forget_hidden()
        self.talks = {key: talk for key, talk in self.talks.items() if talk.used >= moment - DAY}

    @rule(number=pick, foreign=foreign)
    def read(self, number, foreign):
        """A response with all before it; nothing of what is another tenant's, or deleted."""
        key = self.one(number, self.known)
        if key is None:
            return
        known, tenant = self.known[key], self.asking(key, foreign=foreign)
        if not self.visible(key, tenant):
            for doing in (self.kept.responses.chain(tenant, key), self.kept.responses.get(tenant, key)):
                with pytest.raises(NotFound):
                    self.run(doing)
            assert self.run(self.kept.runs.events_after(tenant, key, -1)) == [] or tenant == known.response.tenant
        elif not self.continuable(known):
            with pytest.raises(BadRequest):
                self.run(self.kept.responses.chain(tenant, key))
        else:
            items = self.run(self.kept.responses.chain(tenant, key))
            assert [item["id"] for item in items] == self.chain(known)

    def chain(self, known):
        ids = [item["id"] for text in (known.response.input, known.response.output) for item in orjson.loads(text)]
        if known.response.compacted or known.response.previous_id is None:
            return ids
        return self.chain(self.known[known.response.previous_id]) + ids

    @invariant()
    def is_as_known(self):
        if not hasattr(self, "known"):
            return
        self.run(self.compare())

    async def compare(self):
        rows = await query(self.database, "SELECT tenant, id, previous_id, status, hidden FROM tandem_responses")
        found = {row[1]: (row[0], row[2], row[3], bool(row[4])) for row in rows}
        assert found == {
            key: (known.response.tenant, known.response.previous_id, known.response.status, known.hidden)
            for key, known in self.known.items()
        }
        runs = await query(self.database, "SELECT id, owner, attempts FROM tandem_response_runs")
        assert {row[0]: row[1:] for row in runs} == {
            key: (known.owner, known.attempts) for key, known in self.known.items() if known.owner is not None
        }
        await self.compare_events()
        sql = "SELECT conversation_id, id FROM tandem_conversation_items ORDER BY conversation_id, position"
        items: dict[str, list[str]] = {key: [] for key in self.talks}
        for key, item_id in await query(self.database, sql):
            items[key].append(item_id)
        assert items == {key: talk.items for key, talk in self.talks.items()}
        assert await counts(self.database) == await true_counts(self.database)

    async def compare_events(self):
        sql = "SELECT response_id, first, last FROM tandem_response_events ORDER BY response_id, first"
        last: dict[str, int] = {}
        for key, first, end in await query(self.database, sql):
            swept = self.known[key].told < 0
            assert first == last.get(key, first if swept else 0), "no gap"
            last[key] = end + 1
        for key, known in self.known.items():
            assert known.told < 0 or last.get(key, 0) == known.told


@pytest.fixture
def machine(request, postgres, tmp_path, monkeypatch):
    clock = [1_800_000_000_000]
    monkeypatch.setattr("time.time_ns", lambda: clock[0] * 1_000_000)
    with asyncio.Runner() as loop:
        url = f"sqlite:///{tmp_path}/tandem.db" if request.param == "sqlite" else loop.run(postgres.create())
        database = Database(Settings.model_validate({"url": url}))

        class OnDatabase(AnyOrder):
            pass

        OnDatabase.clock, OnDatabase.loop, OnDatabase.database = clock, loop, database
        yield OnDatabase
        loop.run(database.close())


@pytest.mark.parametrize("machine", ["sqlite", "postgresql"], indirect=True)
def test_any_order(machine):
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=40,
            phases=[Phase.generate],  # what fails is short enough to be read as it is
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
