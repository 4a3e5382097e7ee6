"""Cases that run in a network of their own, where names lead where the case wants."""

import pytest
from tandem_orchestrator.tools.outbound import Http, HttpRequest, OutboundError

from tests.sockets.tools.own_network import LOOPBACK, METADATA, PUBLIC, names, sites

NOT_PUBLIC = "leads to an address that is not public"


async def text(http: Http, url: str) -> str:
    return (await http.fetch(HttpRequest("GET", url))).body.decode()


async def refused(http: Http, url: str) -> None:
    with pytest.raises(OutboundError, match=NOT_PUBLIC):
        await text(http, url)


async def a_name_that_moves_inside() -> None:
    async with names(shop=[[PUBLIC], [LOOPBACK]]) as server, sites(80, PUBLIC, LOOPBACK) as (public, inside):
        http = Http([])
        assert await text(http, "http://shop.example/") == PUBLIC
        assert await text(http, "http://shop.example/") == PUBLIC  # the answer is kept
        http.session().connector.clear_dns_cache()  # type: ignore[union-attr]
        await refused(http, "http://shop.example/")
        assert server.zone["shop.example"] == [[LOOPBACK]]
        assert (public.asked, inside.asked) == (2, 0)
        await http.close()


async def a_name_with_a_second_address_inside() -> None:
    async with names(shop=[[PUBLIC, LOOPBACK]]), sites(81, LOOPBACK) as (inside,):  # nobody listens at the first
        http = Http([])
        with pytest.raises(OutboundError):
            await text(http, "http://shop.example:81/")
        assert not inside.asked
        await http.close()


async def a_redirect_to_a_name_inside() -> None:
    async with names(shop=[[PUBLIC]], next=[[LOOPBACK]]), sites(80, PUBLIC, LOOPBACK) as (public, inside):
        public.redirect = "http://next.example/"
        http = Http(["http://shop.example/"])
        await refused(http, "http://shop.example/")
        assert (public.asked, inside.asked) == (1, 0)
        await http.close()


async def metadata_behind_a_name() -> None:
    async with names(shop=[[METADATA]]), sites(80, METADATA) as (inside,):
        http = Http([])
        await refused(http, "http://shop.example/")
        await refused(http, f"http://{METADATA}/")
        assert not inside.asked
        await http.close()


async def a_configured_name_may_be_inside() -> None:
    async with names(tickets=[[LOOPBACK]], other=[[LOOPBACK]]), sites(80, LOOPBACK) as (inside,):
        http = Http(["http://tickets.example/"])
        for _ in range(2):
            assert await text(http, "http://tickets.example/") == LOOPBACK
            await refused(http, "http://other.example/")
        assert inside.asked == 2
        await http.close()
