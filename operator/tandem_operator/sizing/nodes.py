"""The GPUs of nodes, as their labels or their ResourceSlices tell them.

Labels are those of NVIDIA's GPU feature discovery (`nvidia.com/gpu.memory` in MiB, `.count`, `.product`, `.replicas`;
the same behind each MIG resource) and of AMD's node labeller (`amd.com/gpu.vram`, such as 192G). ResourceSlices are
those of the DRA drivers, `gpu.nvidia.com` and `gpu.amd.com`, whose devices have `capacity.memory`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tandem_operator.api.quantity import number
from tandem_operator.sizing.gpu import Gpu
from tandem_operator.sizing.units import GIB

_MIB: Final = 2**20
_AMD: Final = "amd.com/gpu"
_AMD_COUNT: Final = "beta.amd.com/gpu.vram."
"""Before the memory, the label that counts the node's GPUs."""
_LEAST: Final = 2**30
"""Less memory is a mistake, or no GPU for models."""
_USUAL_COUNT: Final = 8


@dataclass(frozen=True)
class NodeGpus:
    """The GPUs of one node."""

    node: str
    gpu: Gpu
    count: int


def of_labels(metadata: Mapping[str, Any], accelerator: str) -> NodeGpus | None:
    """Return the GPUs of a node that are asked for as `accelerator`, by its labels; None where these do not tell."""
    labels: Mapping[str, str] = metadata.get("labels") or {}
    if accelerator == _AMD:
        memory, count = labels.get("amd.com/gpu.vram", ""), None
        found = re.fullmatch(r"([0-9]{1,5})G", memory)
        size = int(found[1]) * GIB if found else 0
        count = _whole(labels.get(f"{_AMD_COUNT}{memory}"))
    else:
        shared = _whole(labels.get(f"{accelerator}.replicas")) or 1
        size = _whole(labels.get(f"{accelerator}.memory")) * _MIB // shared
        count = _whole(labels.get(f"{accelerator}.count")) * shared
    if size < _LEAST:
        return None
    product = labels.get(f"{accelerator}.product") or labels.get("amd.com/gpu.product-name") or accelerator
    return NodeGpus(str(metadata["name"]), Gpu(product[:63], size), count or _USUAL_COUNT)


def of_slices(slices: Iterable[Mapping[str, Any]], accelerator: str) -> Iterator[NodeGpus]:
    """Yield the GPUs of each node whose driver publishes them; `accelerator` tells whose driver, as nvidia.com does."""
    driver, counts = f"gpu.{accelerator.partition('/')[0]}", Counter[tuple[str, Gpu]]()
    for spec in (each.get("spec") or {} for each in slices):
        if spec.get("driver") == driver and (node := spec.get("nodeName")):
            counts.update((str(node), gpu) for device in spec.get("devices") or () if (gpu := _device(device)))
    for (node, gpu), count in counts.items():
        yield NodeGpus(node, gpu, count)


def _device(device: Mapping[str, Any]) -> Gpu | None:
    """Return a device as a GPU; a part of one, such as a MIG slice that could be made, is none."""
    basic = device.get("basic") or device
    attributes = basic.get("attributes") or {}
    if (attributes.get("type") or {}).get("string", "gpu") != "gpu":
        return None
    try:
        size = int(number((basic.get("capacity") or {})["memory"]["value"]))
    except (KeyError, TypeError, ValueError):
        return None
    product = (attributes.get("productName") or {}).get("string") or device.get("name", "gpu")
    return Gpu(str(product)[:63], size) if size >= _LEAST else None


def smallest(found: Iterable[NodeGpus]) -> NodeGpus | None:
    """Return the GPUs with the least memory, of the node with the most of them; None where there are none."""
    return min(found, key=lambda each: (each.gpu.memory, -each.count), default=None)


def _whole(text: str | None) -> int:
    """Return a label's number; 0 where it is none, or absurd."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,9}", text) else 0
