"""The name servers that pods ask about names outside the cluster."""

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

HOST_FILES: Final = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))


def upstream(files: Iterable[Path] = HOST_FILES) -> list[str]:
    """Return the name servers of the first file that has some that pods can reach; none on a machine without."""
    for file in files:
        if file.exists() and (servers := name_servers(file.read_text())):
            return servers
    return []


def name_servers(text: str) -> list[str]:
    """Return the name servers in the text of a resolv.conf, without those on the loopback device: a pod has its own."""
    entries = [line.split() for line in text.splitlines()]
    servers = [entry[1] for entry in entries if len(entry) > 1 and entry[0] == "nameserver"]
    return [server for server in servers if not ipaddress.ip_address(server.partition("%")[0]).is_loopback]


def forwarding(servers: Sequence[str]) -> str:
    """Return the line of CoreDNS' configuration that passes on questions about other names."""
    return f"forward . {' '.join(servers)}" if servers else "# this machine has no name server"


def configuration(servers: Sequence[str]) -> str:
    """Return the text of a resolv.conf."""
    return "".join(f"nameserver {server}\n" for server in servers)
