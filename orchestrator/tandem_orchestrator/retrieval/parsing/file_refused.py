"""Why a file is not read."""

from typing import Literal

type Code = Literal["unsupported_file", "invalid_file", "server_error"]
"""As `last_error.code` of a vector store's file has them (openapi 2.3.0)."""


class FileRefused(Exception):
    """A file cannot be read; `str()` says why, in words that follow the file's name."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
