"""Which addresses lie in the open internet.

The special blocks are those of IANA's registries, https://www.iana.org/assignments/iana-ipv4-special-registry and
https://www.iana.org/assignments/iana-ipv6-special-registry, as of 2026-11. They stand here because the tables in
Python's `ipaddress` are as old as the Python that runs.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

UNICAST: Final = IPv6Network("2000::/3")  # all that IANA has given out for the open internet
CARRYING_IPV4: Final = (
    IPv6Network("::ffff:0:0/96"),  # mapped
    IPv6Network("64:ff9b::/96"),  # NAT64, whose gateway unwraps it
)
SPECIAL: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network, whose first address is this machine
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared, behind a provider's NAT
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # in no registry: the host of an Azure machine
            "169.254.0.0/16",  # link-local, and the metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # of protocols, and Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
SPECIAL_UNICAST: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # of protocols; Teredo, which carries IPv4
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which carries IPv4
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(host: str) -> bool:
    """Return whether `host` is the address, in its usual spelling, of a machine in the open internet."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if not any(address in block for block in CARRYING_IPV4):
            return address in UNICAST and not any(address in block for block in SPECIAL_UNICAST)
        address = IPv4Address(address.packed[-4:])
    return not any(address in block for block in SPECIAL)
