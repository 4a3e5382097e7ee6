"""The accelerators of nodes, as labels and ResourceSlices tell them."""

from typing import Any

import pytest
from tandem_operator.sizing.gpu import Gpu
from tandem_operator.sizing.nodes import NodeGpus, of_labels, of_slices, smallest

GIB = 2**30
MIB = 2**20
NVIDIA, AMD, MIG = "nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-3g.40gb"
H100 = {
    "nvidia.com/gpu.memory": "81559",
    "nvidia.com/gpu.count": "8",
    "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
}
SLICES_OF_MIG = {f"{MIG}.memory": "40320", f"{MIG}.count": "2", f"{MIG}.product": "NVIDIA-A100-SXM4-80GB-MIG-3g.40gb"}
MI300X = {
    "amd.com/gpu.vram": "192G",
    "beta.amd.com/gpu.vram.192G": "8",
    "amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM",
}

LABELLED: dict[str, tuple[str, dict[str, str], NodeGpus | None]] = {
    "whole": (NVIDIA, H100, NodeGpus("n", Gpu("NVIDIA-H100-80GB-HBM3", 81559 * MIB), 8)),
    "shared by time": (
        NVIDIA,
        {**H100, "nvidia.com/gpu.replicas": "4"},
        NodeGpus("n", Gpu("NVIDIA-H100-80GB-HBM3", 81559 * MIB // 4), 32),
    ),
    "MIG": (MIG, {**H100, **SLICES_OF_MIG}, NodeGpus("n", Gpu("NVIDIA-A100-SXM4-80GB-MIG-3g.40gb", 40320 * MIB), 2)),
    "MIG that this node has not": (MIG, H100, None),
    "AMD": (AMD, MI300X, NodeGpus("n", Gpu("AMD_Instinct_MI300X_OAM", 192 * GIB), 8)),
    "the other vendor's": (AMD, H100, None),
    "neither count nor product": (
        NVIDIA,
        {"nvidia.com/gpu.memory": "23034"},
        NodeGpus("n", Gpu(NVIDIA, 23034 * MIB), 8),
    ),
    "no labels": (NVIDIA, {}, None),
    "no number": (NVIDIA, {**H100, "nvidia.com/gpu.memory": "lots"}, None),
    "negative": (NVIDIA, {**H100, "nvidia.com/gpu.memory": "-1"}, None),
    "endless": (NVIDIA, {**H100, "nvidia.com/gpu.memory": "9" * 63}, None),
    "digits that are none of ours": (NVIDIA, {**H100, "nvidia.com/gpu.memory": "٨١٥٥٩"}, None),
    "less than a model takes": (NVIDIA, {**H100, "nvidia.com/gpu.memory": "512"}, None),
    "shared by nobody": (
        NVIDIA,
        {**H100, "nvidia.com/gpu.replicas": "0"},
        NodeGpus("n", Gpu("NVIDIA-H100-80GB-HBM3", 81559 * MIB), 8),
    ),
    "AMD in other units": (AMD, {**MI300X, "amd.com/gpu.vram": "192Gi"}, None),
}


@pytest.mark.parametrize(("accelerator", "labels", "expected"), LABELLED.values(), ids=LABELLED.keys())
def test_labels_tell_what_a_node_has(accelerator: str, labels: dict[str, str], expected: NodeGpus | None) -> None:
    assert of_labels({"name": "n", "labels": labels}, accelerator) == expected


def test_a_node_without_any_label_tells_nothing() -> None:
    assert of_labels({"name": "n"}, NVIDIA) is None
    assert of_labels({"name": "n", "labels": None}, NVIDIA) is None


def device(memory: Any = "81559Mi", kind: str = "gpu", name: str = "gpu-0") -> dict[str, Any]:
    attributes = {"type": {"string": kind}, "productName": {"string": "NVIDIA H100 80GB HBM3"}}
    return {"name": name, "attributes": attributes, "capacity": {"memory": {"value": memory}}}


def resource_slice(*devices: Any, driver: str = "gpu.nvidia.com", node: str | None = "a") -> dict[str, Any]:
    return {"spec": {"driver": driver, "nodeName": node, "devices": [*devices]}}


def test_slices_tell_each_nodes_devices_of_the_driver_that_is_asked_for() -> None:
    found = of_slices(
        [
            resource_slice(device(), device()),
            resource_slice(device(), device(kind="mig")),
            resource_slice(device("24Gi"), node="b"),
            resource_slice(device(), node=None),
            resource_slice(device(), driver="gpu.amd.com"),
        ],
        NVIDIA,
    )
    h100 = Gpu("NVIDIA H100 80GB HBM3", 81559 * MIB)
    assert [*found] == [NodeGpus("a", h100, 3), NodeGpus("b", Gpu(h100.name, 24 * GIB), 1)]


def test_devices_are_read_as_former_versions_of_kubernetes_write_them() -> None:
    (found,) = of_slices(
        [resource_slice({"name": "gpu-7", "basic": {"capacity": {"memory": {"value": "48Gi"}}}})], NVIDIA
    )
    assert found == NodeGpus("a", Gpu("gpu-7", 48 * GIB), 1)


@pytest.mark.parametrize(
    "hostile",
    [
        {},
        {"spec": None},
        {"spec": {"driver": "gpu.nvidia.com", "nodeName": "a"}},
        {"spec": {"driver": "gpu.nvidia.com", "nodeName": "a", "devices": None}},
        resource_slice({}),
        resource_slice(device(None)),
        resource_slice(device("many")),
        resource_slice(device("1")),
        resource_slice({"name": "x", "capacity": {"memory": None}}),
        resource_slice({"name": "x", "capacity": {"memory": {"value": []}}}),
    ],
)
def test_a_slice_that_tells_nothing_of_use_is_passed_over(hostile: Any) -> None:
    assert [*of_slices([hostile], NVIDIA)] == []


def test_the_smallest_are_taken_of_the_node_that_has_most_of_them() -> None:
    small, large = Gpu("s", 22 * GIB), Gpu("l", 80 * GIB)
    nodes = [NodeGpus("a", large, 8), NodeGpus("b", small, 1), NodeGpus("c", small, 4)]
    assert smallest(nodes) == NodeGpus("c", small, 4)
    assert smallest([]) is None
