"""Kernel settings that Kubernetes changes: remembered before, put back afterwards."""

import json
from pathlib import Path
from typing import Final

ROOT: Final = Path("/proc/sys")
NEEDED: Final = {
    "net/ipv4/ip_forward": "1",
    "net/bridge/bridge-nf-call-iptables": "1",  # else answers of pods to pods of this node miss the Service's address
}
CHANGED_BY_KUBELET: Final = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)


def prepare(memory: Path, root: Path = ROOT) -> None:
    """Write down in the file `memory` how things were (once), and set what the cluster needs."""
    if not memory.exists():
        present = [name for name in (*NEEDED, *CHANGED_BY_KUBELET) if (root / name).exists()]
        memory.write_text(json.dumps({name: (root / name).read_text().strip() for name in present}, indent=1))
    for name, value in NEEDED.items():
        (root / name).write_text(value)


def restore(memory: Path, root: Path = ROOT) -> None:
    """Put back what `memory` says."""
    if memory.exists():
        for name, value in json.loads(memory.read_text()).items():
            (root / name).write_text(value)
