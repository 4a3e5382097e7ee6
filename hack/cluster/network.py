"""The node's address, the pods' bridge and the packet filter rules, all made here and all taken away again."""

import ipaddress
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from hack.cluster import addresses
from hack.command import run
from hack.failure import Failure

BRIDGE: Final = "tandem0"
COMMENT: Final = "tandem"
FAMILIES: Final = ("iptables", "ip6tables")

MARK: Final = ["-m", "comment", "--comment", COMMENT]
RULES: Final = (
    ["nat", "POSTROUTING", "-s", addresses.PODS, "!", "-d", addresses.PODS, *MARK, "-j", "MASQUERADE"],
    ["filter", "FORWARD", "-s", addresses.PODS, *MARK, "-j", "ACCEPT"],
    ["filter", "FORWARD", "-d", addresses.PODS, *MARK, "-j", "ACCEPT"],
)
"""Table, chain, rule: pods reach what this machine reaches, and are answered."""


def set_up() -> None:
    """Give the node its address and let pods through. What is there already stays."""
    run(["ip", "address", "replace", f"{addresses.NODE}/32", "dev", "lo"])
    for table, chain, *rule in RULES:
        if not _has_rule(table, chain, rule):
            run(["iptables", "-w", "-t", table, "-I", chain, *rule])


def _has_rule(table: str, chain: str, rule: list[str]) -> bool:
    try:
        run(["iptables", "-w", "-t", table, "-C", chain, *rule])
    except Failure:
        return False
    return True


def tear_down() -> None:
    """Remove the rules of ours and of Kubernetes, the bridge with what hangs on it, and the node's address."""
    for family in FAMILIES:
        if removal := removal_of_rules(run([f"{family}-save"])):
            run([f"{family}-restore", "-w", "--noflush"], text=removal)
    for port in Path(f"/sys/class/net/{BRIDGE}/brif").glob("*"):
        run(["ip", "link", "delete", port.name])
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        run(["ip", "link", "delete", BRIDGE])
    if addresses.NODE in run(["ip", "-4", "address", "show", "dev", "lo"]):
        run(["ip", "address", "delete", f"{addresses.NODE}/32", "dev", "lo"])


def removal_of_rules(saved: str) -> str:
    """Return input for `iptables-restore --noflush` that removes our rules and Kubernetes' chains, and nothing else.

    `saved` is what `iptables-save` printed. Empty where there is nothing to remove.
    """
    removal: list[str] = []
    for table in saved.split("COMMIT\n"):
        lines = [line for line in table.splitlines() if line and not line.startswith("#")]
        chains = [line[1:].split()[0] for line in lines if line.startswith(":KUBE-")]
        rules = [line for line in lines if _is_jump_to_kubernetes(line) or _is_ours(line)]
        if chains or rules:
            deletions = [f"-D{rule.removeprefix('-A')}" for rule in rules]
            flushes = [f"-F {chain}" for chain in chains]
            removals = [f"-X {chain}" for chain in chains]
            removal += [lines[0], *deletions, *flushes, *removals, "COMMIT", ""]
    return "\n".join(removal)


def _is_jump_to_kubernetes(line: str) -> bool:
    """Return whether this is a rule in a chain of somebody else's that leads into one of Kubernetes'."""
    return line.startswith("-A ") and not line.startswith("-A KUBE-") and " -j KUBE-" in line


def _is_ours(line: str) -> bool:
    return line.startswith("-A ") and f"--comment {COMMENT} " in line


def check_is_free() -> None:
    """Raise Failure where another network of this machine has our addresses, or another Kubernetes our rules."""
    routes = json.loads(run(["ip", "-json", "-4", "route"]))
    if taken := conflicts(routes):
        raise Failure(
            f"the local cluster's addresses ({addresses.NODE}, {addresses.PODS}, {addresses.SERVICES}) "
            f"are in use on this machine: {', '.join(taken)}"
        )
    if any(":KUBE-SERVICES " in run([f"{family}-save"]) for family in FAMILIES):
        raise Failure(
            "another Kubernetes has its packet filter rules on this machine (see: iptables-save | grep KUBE-). "
            "Stop it first; where it has ended and left them behind, kube-proxy --cleanup removes them"
        )


def conflicts(routes: Iterable[dict[str, Any]]) -> list[str]:
    """Return the routes of others that overlap the cluster's networks, from `ip -json route`."""
    ours = [ipaddress.ip_network(network) for network in (addresses.NODE, addresses.PODS, addresses.SERVICES)]
    return [
        f"{route['dst']} on {route.get('dev', '?')}"
        for route in routes
        if route["dst"] != "default" and route.get("dev") not in (BRIDGE, "lo")
        if any(ipaddress.ip_network(route["dst"]).overlaps(network) for network in ours)
    ]


def of_pods(folder: Path) -> dict[str, Any]:
    """Return the CNI configuration: pods on one bridge, their addresses kept in `folder`."""
    return {
        "cniVersion": "1.0.0",
        "name": "tandem",
        "plugins": [
            {
                "type": "bridge",
                "bridge": BRIDGE,
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(folder),
                    "ranges": [[{"subnet": addresses.PODS}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            }
        ],
    }
