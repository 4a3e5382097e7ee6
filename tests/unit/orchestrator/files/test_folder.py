import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from tandem_orchestrator.files.folder import Folder


async def test_a_file_that_is_opened_for_nobody_is_closed(tmp_path, monkeypatch):
    (tmp_path / "key").write_bytes(b"bytes")
    begun, go_on = Event(), Event()
    opened: list[Any] = []
    own = Folder._open

    def slowly(self, key):
        begun.set()
        go_on.wait(10)
        opened.append(own(self, key))
        return opened[0]

    monkeypatch.setattr(Folder, "_open", slowly)
    with ThreadPoolExecutor(1) as threads:
        reading = asyncio.create_task(anext(Folder(str(tmp_path), threads).read("key")))
        await asyncio.to_thread(begun.wait, 10)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        go_on.set()
        async with asyncio.timeout(10):
            while not (opened and opened[0].closed):  # noqa: ASYNC110 # another thread opens it
                await asyncio.sleep(0.01)
