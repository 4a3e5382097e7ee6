"""An engine's pieces on their way to the client: in the call that brings them where that can be."""

import asyncio
from random import Random

import pytest
from tandem_contract.config import ModelSettings, Timeouts
from tandem_orchestrator.engines.catalogue import Model
from tandem_orchestrator.engines.dispatch import Call
from tandem_orchestrator.engines.replica import EngineStream
from tandem_orchestrator.errors import Cut, Malformed
from tandem_orchestrator.gateway.event_stream import EventStream
from tandem_orchestrator.gateway.relay import Events, relay_stream
from tandem_orchestrator.observability.record import EnginePass, Record
from tandem_orchestrator.transport.engine_connection import PAUSE_ABOVE, Connection
from tandem_orchestrator.transport.outbox import outbox_of

from tests.unit.orchestrator.transport.line import Client, Line

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":3}}\n\n'


def event(number):
    return b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


MODEL = Model("double", ModelSettings(name="double"), (), takes_cache_salt=False)


class Streaming:
    """`async with Streaming():` relays what `say` makes the engine say; `first` has been said then."""

    def __init__(self, first=event(0), *, hide_usage=False):  # noqa: B008 # a constant
        self.engine = Line()
        self.connection = Connection(lambda _: None, lambda _: None)
        self.connection.connection_made(self.engine)
        self.outbox = outbox_of(self.connection.loop)
        self.client = Client(self.outbox, "POST")
        self.client.scope["state"]["record"] = self.record = Record("id")
        self.broken: list[Exception] = []
        self._first = first
        self._hide_usage = hide_usage

    async def __aenter__(self):
        response = self.connection.exchange(b"", b"", Timeouts())
        self.response = EngineStream(response, EnginePass(self.record, "engine"), self.broken.append)
        self.answer = EventStream(self.client.exchange, self.record, self.client.exchange.send)
        call = Call("/v1/chat/completions", MODEL, self.record)
        relay = relay_stream(self, call, b"{}", self.answer, Events(hide_usage=self._hide_usage))  # type: ignore[arg-type]
        self.task = asyncio.create_task(relay)
        self.connection.data_received(HEAD + chunk(self._first))
        await turns()
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.wait([self.task])
        self.connection.connection_lost(None)

    @property
    def written(self):
        """All that has gone to the client."""
        return b"".join(self.client.line.writes)

    @property
    def body(self):
        """The chunks of the answer, put together."""
        rest, body = self.written.partition(b"\r\n\r\n")[2], b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return body

    async def stream(self, _call, _body):
        """As a dispatcher's."""
        return self.response

    def say(self, data):
        """The engine sends a piece, and the client gets what is written before the loop goes on."""
        self.connection.data_received(chunk(data))
        self.outbox.flush()


async def turns():
    """Lets every task go on as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_the_first_piece_is_marked_and_the_next_leave_in_the_calls_that_bring_them():
    async with Streaming() as relayed:
        assert relayed.record.first_byte is not None
        for number in range(1, 4):
            relayed.say(event(number))
            assert relayed.written.endswith(chunk(event(number)))
        assert relayed.body == b"".join(map(event, range(4)))


async def test_neither_a_heartbeat_nor_what_is_hidden_is_a_first_piece():
    async with Streaming(USAGE, hide_usage=True) as relayed:
        await relayed.answer.heartbeat()
        assert relayed.record.first_byte is None
        relayed.say(event(1))
        await turns()
        assert relayed.record.first_byte is not None
        assert relayed.body.endswith(event(1))


async def test_half_a_line_waits_for_its_end():
    async with Streaming() as relayed:
        relayed.say(event(1)[:9])
        relayed.say(event(1)[9:] + event(2)[:5])
        await turns()
        relayed.say(event(2)[5:])
        assert relayed.body == event(0) + event(1)
        await turns()
        assert relayed.body == event(0) + event(1) + event(2)
        relayed.say(event(3))
        assert relayed.body.endswith(event(3)), "whole lines leave at once again"


async def test_pieces_leave_in_their_order_however_they_are_cut_and_whenever_the_client_reads():
    events = b"".join(map(event, range(1, 40))) + USAGE + event(40) + DONE
    for number in range(40):
        random = Random(number)
        async with Streaming(hide_usage=True) as relayed:
            rest = events
            while rest:
                size = rest.find(b"\n\n") + 2 if random.random() < 0.6 else random.randrange(1, 90)
                relayed.say(rest[:size])
                rest = rest[size:]
                getattr(relayed.client.flow, random.choice(["pause_writing", "resume_writing", "resume_writing"]))()
                for _ in range(random.randrange(3)):
                    await asyncio.sleep(0)
            relayed.connection.data_received(b"0\r\n\r\n")
            relayed.client.flow.resume_writing()
            await relayed.task
            await turns()
            assert relayed.body == event(0) + events.replace(USAGE, b"")
            assert relayed.record.completion_tokens == 3


async def test_a_client_that_does_not_read_makes_the_engine_wait():
    large = b": " + b"x" * 10_000 + b"\n"
    async with Streaming() as relayed:
        relayed.client.flow.pause_writing()
        before, said = relayed.written, event(0)
        while relayed.engine.reading:
            relayed.say(large)
            said += large
            assert len(said) < 2 * PAUSE_ABOVE
            await turns()
        assert relayed.written == before
        relayed.client.flow.resume_writing()
        await turns()
        assert relayed.engine.reading
        assert relayed.body == said
        relayed.say(event(1))
        assert relayed.body == said + event(1)


async def test_nothing_is_written_to_a_client_that_left():
    async with Streaming() as relayed:
        before, relayed.client.exchange.disconnected = relayed.written, True
        relayed.say(event(1))
        await turns()
        assert relayed.written == before


async def test_tokens_are_counted_where_the_engine_does_not_say_how_many():
    async with Streaming() as relayed:
        for number in range(1, 4):
            relayed.say(event(number))
        relayed.say(DONE)
        relayed.connection.data_received(b"0\r\n\r\n")
        await relayed.task
        assert relayed.record.completion_tokens == 4


async def test_a_cut_is_told_after_what_came_before_it():
    async with Streaming() as relayed:
        relayed.say(event(1))
        relayed.connection.connection_lost(None)
        with pytest.raises(Cut):
            await relayed.task
        assert relayed.body == event(0) + event(1)
        assert [type(error) for error in relayed.broken] == [Cut]


@pytest.mark.parametrize(
    ("last", "complaint"), [(event(2), r"without \[DONE\]"), (b"data: " + b"x" * 1000, "without end")]
)
async def test_what_is_no_stream_is_told(monkeypatch, last, complaint):
    monkeypatch.setattr("tandem_orchestrator.engines.event_reader.MAX_EVENT", 500)
    async with Streaming() as relayed:
        relayed.say(event(1))
        relayed.say(last)
        relayed.connection.data_received(b"0\r\n\r\n")
        with pytest.raises(Malformed, match=complaint):
            await relayed.task
        assert relayed.body.startswith(event(0) + event(1))
        assert [type(error) for error in relayed.broken] == [Malformed]
