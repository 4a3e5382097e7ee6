"""Parts of the kernel that are loaded on demand."""

from pathlib import Path

from hack import tools
from hack.command import run
from hack.failure import Failure


def load(proc: Path = Path("/proc")) -> None:
    """Have the kernel ready for containers' file systems and for packet filters on bridges. What is there stays."""
    for name, present in {"overlay": _has_overlay, "br_netfilter": _has_bridge_filter}.items():
        if present(proc):
            continue
        run([tools.executable("modprobe"), name])
        if not present(proc):
            raise Failure(f"this kernel lacks {name}, and modprobe does not load it")


def _has_overlay(proc: Path) -> bool:
    return "\toverlay\n" in (proc / "filesystems").read_text()


def _has_bridge_filter(proc: Path) -> bool:
    return (proc / "sys/net/bridge/bridge-nf-call-iptables").exists()
