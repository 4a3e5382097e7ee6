"""How many requests are taken to wait inside an engine."""

import pytest
from tandem_contract.config import UpstreamType
from tandem_orchestrator.gateway.engine_types import ENGINE_TYPES
from tandem_orchestrator.gateway.load import Load

VLLM = ENGINE_TYPES[UpstreamType.VLLM]


def test_what_was_sent_since_waits_too_where_some_waited():
    load = Load()
    load.seen(10, in_flight=30)
    assert [load.waiting(in_flight) for in_flight in (30, 35, 20)] == [10, 15, 10]


def test_an_engine_in_which_none_waited_had_room():
    load = Load()
    load.seen(0, in_flight=3)
    assert load.waiting(500) == 0
    assert load.sent(500) == 497


def test_an_engine_that_does_not_tell_is_taken_to_be_full():
    load = Load()
    load.seen(0, in_flight=3)
    load.missed()
    assert load.waiting(10) == 7
    load.seen(0, in_flight=10)
    assert load.waiting(10) == 0


def test_every_type_is_known():
    assert set(ENGINE_TYPES) == set(UpstreamType)


SEVERAL = b"""# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0"} 3.0
vllm:num_requests_waiting{engine="1"} 4.0
vllm:num_requests_waiting_by_reason{reason="capacity"} 9.0
vllm:num_requests_running{engine="0"} 7.0
"""


@pytest.mark.parametrize(
    ("raw", "waiting"),
    [
        (b'vllm:num_requests_waiting{engine="0",model_name="m"} 3.0\n', 3),
        (SEVERAL, 7),
        (b"vllm:num_requests_waiting 2", 2),
        (b"vllm:num_requests_waiting nothing", None),
        (b"llamacpp:requests_deferred 2\n", None),
        (b"", None),
    ],
)
def test_vllms_own_count(raw, waiting):
    assert VLLM.waiting(raw) == waiting
