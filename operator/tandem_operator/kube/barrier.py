"""Holds work back until the watches have shown all that there is: what they have yet to show would pass for gone."""

import asyncio
from collections import defaultdict
from typing import Final

from tandem_operator.kube.api import Api
from tandem_operator.kube.comparison import SELECTORS, compare
from tandem_operator.kube.store import Store, key_of

_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
_PATIENCE: Final = 30.0
"""How long the watches have; then everything that they did not show is fetched."""


class Barrier:
    """Compares the store with lists of our own, once for the cluster or once for each namespace."""

    def __init__(self, api: Api, store: Store, *, clusterwide: bool) -> None:
        self._api = api
        self._store = store
        self._clusterwide = clusterwide
        self._locks: dict[str | None, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._open: set[str | None] = set()

    async def passed(self, namespace: str) -> None:
        """Wait until the store knows every object that a namespace has.

        ApiError: they cannot be listed.
        """
        scope = None if self._clusterwide else namespace
        if scope in self._open:
            return
        async with self._locks[scope]:
            if scope not in self._open:
                await self._all_shown(scope)
                self._open.add(scope)

    async def _all_shown(self, scope: str | None) -> None:
        unknown, pause = await self._unknown(scope), _PAUSE
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while unknown:
            if asyncio.get_running_loop().time() > deadline:
                await compare(self._api, self._store, scope)
                return
            await asyncio.sleep(pause)
            left = {uid for uid in unknown if not self._store.knows(uid)}
            if len(left) < len(unknown):
                unknown, pause = left, _PAUSE
            else:  # what does not come may have been deleted before the watches began: a new list tells
                unknown, pause = await self._unknown(scope), min(pause * 2, _LONGEST_PAUSE)

    async def _unknown(self, scope: str | None) -> set[str]:
        """Return the uids of the objects that the store does not know."""
        return {
            item["metadata"]["uid"]
            for resource, selector in SELECTORS.items()
            async for item in self._api.list_metadata(resource, scope, selector)
            if key_of(item) and not self._store.knows(item["metadata"]["uid"])
        }
