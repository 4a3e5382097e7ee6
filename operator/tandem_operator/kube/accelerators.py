"""The GPUs of the cluster's nodes, looked up when an engine is to be sized by them."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.resources import NODE, RESOURCE_SLICE
from tandem_operator.sizing.nodes import NodeGpus, of_labels, of_slices

logger = logging.getLogger(__name__)

_KEPT_SECONDS: Final = 300.0
_Question = tuple[str, tuple[tuple[str, str], ...]]


class Accelerators:
    """What nodes have, asked now and then for each kind of node; without an API nobody asks."""

    def __init__(self, api: Api | None) -> None:
        self._api = api
        self._known: dict[_Question, tuple[float, Sequence[NodeGpus]]] = {}

    async def find(self, accelerator: str, node_selector: Mapping[str, str]) -> Sequence[NodeGpus]:
        """Return the GPUs of the nodes with these labels that tell of them; none where nodes may not be read.

        ApiError: they cannot be read now.
        """
        if self._api is None:
            return ()
        question = (accelerator, tuple(sorted(node_selector.items())))
        now = asyncio.get_running_loop().time()
        self._known = {asked: kept for asked, kept in self._known.items() if now - kept[0] < _KEPT_SECONDS}
        if question not in self._known:
            try:
                found = await _look_up(self._api, accelerator, node_selector)
            except ApiError as error:
                if not error.is_refusal:
                    raise
                logger.warning("the GPUs of nodes cannot be looked up: %s", error)
                found = []
            self._known[question] = now, found
        return self._known[question][1]


async def _look_up(api: Api, accelerator: str, node_selector: Mapping[str, str]) -> list[NodeGpus]:
    selector = ",".join(f"{name}={value}" for name, value in node_selector.items())
    nodes = [node["metadata"] async for node in api.list_metadata(NODE, None, selector)]
    if labelled := [found for node in nodes if (found := of_labels(node, accelerator))]:
        return labelled
    admitted = {node["name"] for node in nodes}
    slices = [each async for each in api.list_objects(RESOURCE_SLICE)]
    return [found for found in of_slices(slices, accelerator) if found.node in admitted]
