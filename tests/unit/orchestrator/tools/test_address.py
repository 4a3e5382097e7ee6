"""Addresses that are refused, with or without the tables of the Python that runs."""

from ipaddress import ip_network

import pytest
from tandem_orchestrator.tools.address import is_public

BLOCKS = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32", "168.63.129.16/32"),
    *("::/128", "::1/128", "::/96", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32"),
    *("2001:2::/48", "2001:10::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10"),
    *("fec0::/10", "ff00::/8"),
]
INSIDE = ["192.0.0.192", "169.254.169.254", "100.100.100.200", "::127.0.0.1", "fd00:ec2::254", "fe80::1%eth0", "::"]
OUTSIDE = [
    *("93.184.215.14", "1.1.1.1", "172.15.255.255", "172.32.0.0", "192.0.1.0", "100.63.255.255", "223.255.255.255"),
    *("2606:2800:21f::1", "2a00:1450:4001::1", "2001:4860:4860::8888", "2001:200::1"),
]


@pytest.mark.parametrize("block", BLOCKS)
def test_special_blocks_from_end_to_end(block):
    network = ip_network(block)
    assert not is_public(str(network[0]))
    assert not is_public(str(network[-1]))


@pytest.mark.parametrize("address", INSIDE)
def test_what_clouds_and_machines_have_inside(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_open_internet(address):
    assert is_public(address)


@pytest.mark.parametrize("prefix", ["::ffff:", "64:ff9b::"])
def test_ipv4_inside_ipv6_counts_as_what_it_is(prefix):
    assert is_public(f"{prefix}93.184.215.14")
    for address in ("127.0.0.1", "10.1.2.3", "169.254.169.254", "192.0.0.192", "0.0.0.0"):
        assert not is_public(prefix + address)


@pytest.mark.parametrize("prefix", ["64:ff9b:1::", "64:ff9b:1:ffff::", "2002:5db8:d70e::", "2001:0:5db8:d70e::", "::"])
def test_other_tunnels_are_closed_whatever_they_carry(prefix):
    assert not is_public(f"{prefix}93.184.215.14")


@pytest.mark.parametrize(
    "text", ["", "localhost", "0x7f.1", "127.1", "2130706433", "0177.0.0.1", "1.1.1.1.", "a::b::c"]
)
def test_what_is_no_address_is_not_public(text):
    assert not is_public(text)
