"""The nodes' accelerators are looked up now and then, and only what nobody may read is nothing."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tandem_operator.kube.accelerators import Accelerators
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.resources import NODE, Object, Resource

GPU = "nvidia.com/gpu"
LABELS = {f"{GPU}.memory": "23034", f"{GPU}.count": "4"}


class Nodes(Api):
    """An API server that has nodes and slices, or refuses."""

    def __init__(self, labels: Any = (), slices: Any = (), refusal: int | None = None) -> None:
        self.labels, self.slices, self.refusal = dict(labels), slices, refusal
        self.asked: list[str] = []

    async def list_metadata(self, resource: Resource, namespace: str | None, selector: str) -> AsyncIterator[Object]:
        assert (resource, namespace) == (NODE, None)
        self.asked.append(selector)
        if self.refusal is not None:
            raise ApiError(self.refusal, "no")
        yield {"metadata": {"name": "a", "labels": self.labels}}

    async def list_objects(self, resource: Resource, namespace: str | None = None) -> AsyncIterator[Object]:
        assert namespace is None
        self.asked.append(resource.plural)
        for each in self.slices:
            yield each


async def test_labels_are_believed_and_asked_for_once() -> None:
    api = Nodes(LABELS)
    accelerators = Accelerators(api)
    (found,) = await accelerators.find(GPU, {"pool": "a", "zone": "b"})
    assert (found.node, found.count) == ("a", 4)
    assert await accelerators.find(GPU, {"zone": "b", "pool": "a"}) == [found]
    assert api.asked == ["pool=a,zone=b"]
    await accelerators.find(GPU, {})
    assert api.asked == ["pool=a,zone=b", ""]


async def test_slices_tell_of_nodes_without_labels_if_the_selector_admits_them() -> None:
    devices = [{"name": "gpu-0", "capacity": {"memory": {"value": "80Gi"}}}]
    slices = [{"spec": {"driver": "gpu.nvidia.com", "nodeName": node, "devices": devices}} for node in ("a", "b")]
    found = await Accelerators(Nodes(slices=slices)).find(GPU, {})
    assert [each.node for each in found] == ["a"]


async def test_nodes_that_may_not_be_read_are_none_and_not_asked_for_again_at_once() -> None:
    api = Nodes(LABELS, refusal=403)
    accelerators = Accelerators(api)
    assert await accelerators.find(GPU, {}) == await accelerators.find(GPU, {}) == []
    assert len(api.asked) == 1


@pytest.mark.parametrize("status", [0, 429, 500, 503])
async def test_what_fails_only_now_is_no_answer(status: int) -> None:
    api = Nodes(LABELS, refusal=status)
    accelerators = Accelerators(api)
    with pytest.raises(ApiError):
        await accelerators.find(GPU, {})
    api.refusal = None
    assert await accelerators.find(GPU, {})


async def test_where_nodes_may_not_be_read_nobody_asks() -> None:
    assert await Accelerators(None).find(GPU, {}) == ()
