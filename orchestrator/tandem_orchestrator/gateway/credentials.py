"""The key that the engine asks for."""

from pathlib import Path
from time import monotonic

from tandem_orchestrator.errors import EngineError

LOOK_EVERY = 1.0  # seconds


class KeyFile:
    """A bearer token in a file; a changed file counts within a second. The token is never logged."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._header = b""
        self._seen: tuple[int, int] | None = None
        self._looked = float("-inf")

    def header(self) -> bytes:
        """The Authorization header line, or nothing without a key file. Raises `EngineError` if it is unreadable."""
        if self._path is not None and monotonic() - self._looked > LOOK_EVERY:
            self._look(self._path)
        return self._header

    def _look(self, path: Path) -> None:
        try:
            found = path.stat()
            if (found.st_mtime_ns, found.st_ino) != self._seen:
                token = path.read_text(encoding="ascii").strip()
                if not token or not token.isprintable() or " " in token:
                    raise EngineError(f"the engine's key file {path} holds no single word")
                self._header = f"authorization: Bearer {token}\r\n".encode()
                self._seen = (found.st_mtime_ns, found.st_ino)
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"the engine's key file {path} cannot be read: {type(error).__name__}") from None
        self._looked = monotonic()
