"""The bytes that lie in a folder or a bucket, seen from outside."""

import os
from pathlib import Path
from typing import Any, Protocol

import obstore

from tests.sockets.s3_server import S3Server


class Kept(Protocol):
    settings: dict[str, Any]

    def keys(self) -> set[str]:
        """All that there is."""

    def put(self, key: str, data: bytes) -> None:
        """Writes past the orchestrator."""

    def damage(self, key: str) -> None:
        """Changes the last byte."""


class FolderKept:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings: dict[str, Any] = {"folder": str(folder)}

    def keys(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}

    def put(self, key: str, data: bytes) -> None:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def damage(self, key: str) -> None:
        path = self.folder / key
        with path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_END)
            file.write(bytes([last[0] ^ 1]))


class S3Kept:
    def __init__(self, server: S3Server) -> None:
        self.server = server
        self.settings: dict[str, Any] = {"s3": server.settings()}
        self.prefix = self.settings["s3"]["prefix"]

    def keys(self) -> set[str]:
        names = self.server.objects(self.prefix.rstrip("/"))
        return {name.removeprefix(self.prefix).rpartition("/")[0] for name in names}

    def put(self, key: str, data: bytes) -> None:
        obstore.put(self.server.store(), f"{self.prefix}{key}/00000", data)

    def damage(self, key: str) -> None:
        name = max(self.server.objects(f"{self.prefix}{key}"))
        data = bytes(obstore.get(self.server.store(), name).bytes())
        obstore.put(self.server.store(), name, data[:-1] + bytes([data[-1] ^ 1]))
