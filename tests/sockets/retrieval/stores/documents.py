"""Small documents on their way into vector stores."""

from typing import Any

import openai
from openai.types import FileObject, VectorStore
from openai.types.vector_stores import VectorStoreFile

from tests.sockets.running import until_awaited

RIVERS = "The Rhine rises in the Alps.\n\nThe Danube ends in the Black Sea.\n\nThe Elbe passes Hamburg."
PLANETS = "Saturn has bright rings.\n\nMars is red because of rust.\n\nJupiter is the largest planet."
SECONDS = 30.0


class Documents:
    """What a client does with them, by the `openai` package."""

    def __init__(self, client: openai.AsyncOpenAI, seconds: float = SECONDS) -> None:
        self.client = client
        self._seconds = seconds

    async def upload(self, text: str | bytes, name: str = "rivers.txt") -> FileObject:
        content = text.encode() if isinstance(text, str) else text
        return await self.client.files.create(file=(name, content), purpose="assistants")

    async def store(self, *texts: str, **fields: Any) -> VectorStore:
        """A store with these texts as files, all of them read."""
        files = [await self.upload(text, f"{n}.txt") for n, text in enumerate(texts)]
        store = await self.client.vector_stores.create(file_ids=[file.id for file in files], **fields)
        await self.done(store.id)
        return await self.client.vector_stores.retrieve(store.id)

    async def attach(
        self, store_id: str, text: str | bytes, name: str = "rivers.txt", **fields: Any
    ) -> VectorStoreFile:
        """Another file of a store, and how it ended."""
        file = await self.upload(text, name)
        await self.client.vector_stores.files.create(file_id=file.id, vector_store_id=store_id, **fields)
        await self.done(store_id)
        return await self.client.vector_stores.files.retrieve(file.id, vector_store_id=store_id)

    async def done(self, store_id: str) -> None:
        """Waits until no file of a store is in progress."""

        async def counts():
            return (await self.client.vector_stores.retrieve(store_id)).file_counts

        await until_awaited(counts, lambda found: found.in_progress == 0, self._seconds)

    async def found(self, store_id: str, query: str | list[str], **fields: Any) -> list[str]:
        """The texts that a search finds, the best first."""
        page = await self.client.vector_stores.search(store_id, query=query, **fields)
        return [result.content[0].text for result in page.data]
