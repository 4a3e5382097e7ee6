"""No tool reaches the network inside, whichever way it is led there."""

import pytest
from tandem_orchestrator.tools.outbound import Blocked, Http, OutboundError, OutboundGuard

from tests.orchestrator.open_meteo import OpenMeteo

INSIDE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::1",
    "224.0.0.1",
]


def address(host, port=80):
    return (2, 1, 6, "", (host, port))


@pytest.mark.parametrize("host", INSIDE)
async def test_addresses_inside_are_blocked(host):
    with pytest.raises(Blocked):
        OutboundGuard(["https://api.example.com/v1"]).open_socket(address(host))


async def test_public_addresses_are_open():
    OutboundGuard([]).open_socket(address("93.184.215.14")).close()


async def test_a_host_that_the_configuration_names_may_be_inside():
    guard = OutboundGuard(["http://localhost:1/v1"])
    (found, *_) = await guard.resolve("localhost", 1)
    guard.open_socket(address(found["host"], 1)).close()
    for elsewhere in (address("127.0.0.9", 1), address(found["host"], 2)):
        with pytest.raises(Blocked):
            guard.open_socket(elsewhere)
    await guard.close()


async def test_another_name_for_an_inside_address_is_blocked():
    async with OpenMeteo() as inside:
        http = Http(["http://other.example/"])
        port = inside.url.rpartition(":")[2]
        with pytest.raises(OutboundError, match="leads to an address that is not public"):
            await http.get_json(f"http://localhost:{port}/v1/search", {"name": "Tokyo"})
        await http.close()
        assert not inside.asked


async def test_a_redirect_to_the_inside_is_blocked():
    async with OpenMeteo() as outside, OpenMeteo() as inside:
        outside.redirect = inside.url.replace("127.0.0.1", "localhost") + "/v1/search?name=Tokyo"
        http = Http([outside.url])
        with pytest.raises(OutboundError, match="leads to an address that is not public"):
            await http.get_json(f"{outside.url}/v1/search", {"name": "Tokyo"})
        await http.close()
        assert len(outside.asked) == 1
        assert not inside.asked
