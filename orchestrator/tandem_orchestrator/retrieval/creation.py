"""Makes vector stores, and new versions of their indexes."""

from typing import Any

import orjson
from tandem_contract.config import Retrieval as Settings

from tandem_orchestrator.errors import Clash
from tandem_orchestrator.retrieval.embedding.embedders import Embedders
from tandem_orchestrator.retrieval.kept import Kept
from tandem_orchestrator.retrieval.quota import check_quota
from tandem_orchestrator.retrieval.store_files import MOST_AT_CREATION, StoreFiles, wanted_ids
from tandem_orchestrator.retrieval.stores import PREFIX, description_of, expiry_of, index_row, name_of
from tandem_orchestrator.retrieval.strategy import default_strategy
from tandem_orchestrator.store import ids
from tandem_orchestrator.store.metadata import metadata
from tandem_orchestrator.store.rows import NamedRows, now


class Creation:
    """Makes stores as the settings of the moment say. Every call raises `DatabaseDown`, `StorageFull`."""

    def __init__(self, kept: Kept, files: StoreFiles, embedders: Embedders, settings: Settings) -> None:
        self._rows = kept.rows
        self._stores = kept.stores
        self._works = kept.works
        self._files = files
        self._embedders = embedders
        self._settings = settings

    async def create(self, tenant: str, body: dict[str, Any]) -> dict[str, Any]:
        """Make a store, with files where they are given. Raises `BadRequest`, `Forbidden`, `NotFound`."""
        moment = now()
        store_id = PREFIX + ids.new()
        index = await self._index(tenant, store_id)
        row = {
            "tenant": tenant,
            "id": store_id,
            "created": moment,
            "used": moment,
            "name": name_of(body),
            "description": description_of(body),
            "metadata": orjson.dumps(metadata(body.get("metadata"))).decode(),
            "expires_days": expiry_of(body),
            "index_id": index["id"],
            "next_index_id": None,
        }
        steps: list[NamedRows] = [("ADD_STORE", [row]), ("ADD_INDEX", [index])]
        if body.get("file_ids"):
            wanted = wanted_ids(body["file_ids"], body, MOST_AT_CREATION)
            steps += await self._files.steps(tenant, store_id, wanted, None)
        await check_quota(self._rows, tenant, self._settings.quota, stores=1)
        await self._rows.write(*steps)
        self._works.woken.set()
        return await self._stores.get(tenant, store_id)

    async def reindex(self, tenant: str, store_id: str) -> dict[str, Any]:
        """Begin to make a store's index anew, as the settings are now; it is searched as it is until then.

        Raises `NotFound`, and `Clash` while that is under way already.
        """
        await self._stores.row(tenant, store_id)
        moment = now()
        index = await self._index(tenant, store_id)
        begin = {
            "tenant": tenant,
            "id": store_id,
            "new_index_id": index["id"],
            "new_embedding": index["embedding"],
            "new_chunking": index["chunking"],
            "now": moment,
        }
        of_store = {"tenant": tenant, "store_id": store_id, "now": moment}
        begun, *_ = await self._rows.write(
            ("BEGIN_REINDEX", [begin]), ("ADD_INDEX", [index]), ("QUEUE_ALL", [of_store]), ("DROP_OTHERS", [of_store])
        )
        if not begun:
            raise Clash(f"the vector store {store_id!r} is being indexed anew already", code="reindex_in_progress")
        self._works.woken.set()
        return await self._stores.get(tenant, store_id)

    async def _index(self, tenant: str, store_id: str) -> dict[str, Any]:
        embedder = self._embedders.now
        if embedder is None:
            identity = ""
        else:
            await embedder.prepare()
            identity = orjson.dumps(embedder.identity.document()).decode()
        return index_row(tenant, store_id, identity, default_strategy(self._settings.chunking))
