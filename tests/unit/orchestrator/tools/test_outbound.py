"""No tool reaches the network inside, whichever way it is led there."""

import pytest
from tandem_orchestrator.tools.outbound import Blocked, Http, HttpRequest, OutboundError, OutboundGuard

from tests.sockets.open_meteo import OpenMeteo

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


@pytest.mark.parametrize("host", ["192.0.0.192", "64:ff9b:1::a9fe:a9fe", "::127.0.0.1", "fec0::1", "198.18.0.1"])
async def test_pythons_own_tables_do_not_matter(host):
    with pytest.raises(Blocked):
        OutboundGuard([]).open_socket(address(host))


SPELLINGS = [
    *("127.0.0.1", "127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "127.0.0.1."),
    *("localhost", "LOCALHOST", "localhost.", "127。0。0。1", "①②⑦.0.0.1", "user@127.0.0.1", "example.com@127.0.0.1"),
    *("0.0.0.0", "0", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::1%25lo]", "[::]"),
    *("[64:ff9b::127.0.0.1]", "[64:ff9b:1::127.0.0.1]", "[2002:7f00:1::]"),
    *("%31%32%37.0.0.1", "a..b", "x" * 64, "127.0.0.1%00.example.com", "[::1", "", "[v1.x]"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_this_machine_is_not_reached_however_it_is_spelt(spelling):
    async with OpenMeteo() as inside, OpenMeteo() as outside:
        port = inside.url.rpartition(":")[2]
        outside.redirect = f"http://{spelling}:{port}/v1/search?name=Tokyo"
        http = Http([outside.url])
        for url in (outside.redirect, f"{outside.url}/v1/search?name=Tokyo"):
            with pytest.raises(OutboundError):
                await http.fetch(HttpRequest("GET", url))
        await http.close()
        assert not inside.asked


async def test_an_address_is_open_under_the_name_that_is_configured_alone():
    async with OpenMeteo() as inside:
        port = inside.url.rpartition(":")[2]
        for configured, others in (("localhost", ("127.0.0.1",)), ("127.0.0.1", ("localhost",))):
            http = Http([f"http://{configured.upper()}:{port}/"])
            path = "v1/search?name=Tokyo"
            assert (await http.fetch(HttpRequest("GET", f"http://{configured.upper()}:{port}/{path}"))).status == 200
            for other in others:
                with pytest.raises(OutboundError, match="leads to an address that is not public"):
                    await http.fetch(HttpRequest("GET", f"http://{other}:{port}/{path}"))
            await http.close()
        assert len(inside.asked) == 2


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    async with OpenMeteo() as service, OpenMeteo() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        http = Http([service.url])
        await http.get_json(f"{service.url}/v1/search", {"name": "Tokyo"})
        await http.close()
        assert (len(service.asked), len(proxy.asked)) == (1, 0)


async def test_public_addresses_are_open():
    OutboundGuard([]).open_socket(address("93.184.215.14")).close()


async def test_a_host_that_the_configuration_names_may_be_inside():
    OutboundGuard(["http://[fd00::a]:1/"]).open_socket((10, 1, 6, "", ("FD00::A", 1, 0, 0))).close()
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
