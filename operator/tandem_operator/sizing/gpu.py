"""GPUs and the memory that their drivers report."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tandem_operator.sizing.units import GIB

_REPORTED: Final = MappingProxyType(
    {
        "A10-24GB": 22.0,
        "A10G-24GB": 22.0,
        "A100-40GB": 39.4,
        "A100-80GB": 79.14,
        "A30-24GB": 23.5,
        "B200-180GB": 178.3,
        "GH200-96GB": 94.5,
        "H20-96GB": 95.0,
        "H100-80GB": 79.18,
        "H100-94GB": 93.0,
        "H200-141GB": 139.8,
        "L4-24GB": 22.0,
        "L40-48GB": 44.3,
        "L40S-48GB": 44.3,
        "MI210-64GB": 63.9,
        "MI250-64GB": 63.9,
        "MI300X-192GB": 191.5,
        "MI325X-256GB": 255.5,
        "MI355X-288GB": 287.5,
        "RTX3090-24GB": 23.5,
        "RTX4090-24GB": 23.5,
        "RTX5090-32GB": 31.3,
        "RTX6000ADA-48GB": 47.3,
        "RTXA6000-48GB": 47.3,
        "RTXPRO6000-96GB": 94.9,
        "T4-16GB": 14.5,
        "V100-16GB": 15.7,
        "V100-32GB": 31.7,
    }
)
"""GiB that an engine sees of each: for H100-80GB as llm-d's planner measured it, for others as CUDA and ROCm report
them, rounded down. GDDR with error correction gives up to a twelfth for it."""
_LEAST_REPORTED: Final = 0.91
"""Share of the GiB in its name that any GPU of the table has at least."""
_LARGEST: Final = 4096


class UnknownGpuError(Exception):
    """A name that tells no amount of memory."""


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU."""

    name: str
    memory: int
    """Bytes that its driver reports."""


def named(name: str) -> Gpu:
    """Return the GPU of a name such as `H100-80GB` or `L4`; others are taken by the size in theirs, on the safe side.

    UnknownGpuError where the name is unknown and has no size.
    """
    compact = re.sub(r"[ _]", "", name)
    written = compact.upper()
    if found := [known for known in _REPORTED if written in {known, known.rpartition("-")[0]}]:
        return Gpu(found[0], int(_REPORTED[found[0]] * GIB))
    sized = re.fullmatch(r"[A-Z0-9][-A-Z0-9.]{0,62}-([1-9][0-9]{0,3})GB", written)
    if not sized or int(sized[1]) > _LARGEST:
        raise UnknownGpuError(
            f"the memory of GPU {name!r} is unknown; write a name such as {', '.join(_REPORTED)},"
            " or any with its size, such as NAME-48GB"
        )
    return Gpu(compact, int(int(sized[1]) * _LEAST_REPORTED * GIB))
