"""The key that the engine asks for, and while that is being changed the one before."""

from pathlib import Path
from time import monotonic

from tandem_contract.config import SecretFile, Upstream

from tandem_orchestrator.errors import KeyUnusable
from tandem_orchestrator.secret_file import SecretError, read_secret

LOOK_EVERY = 1.0  # seconds


class EngineKey:
    """The bearer token for one upstream. From a file it is read again when that changes. It is never logged."""

    other: "EngineKey | None" = None
    """The one that a replica may take in this one's place, while the key is being changed."""
    taken: bool = False
    """Whether a replica has ever taken it or the other: then one that refuses it has been given another key."""

    def __init__(self, upstream: Upstream) -> None:
        self._secret = SecretFile(file=upstream.api_key_file) if upstream.api_key_file else upstream.api_key
        self._value = None if self._secret else upstream.api_key_value
        self._header = b""
        self._seen: tuple[int, int] | None = None
        self._looked = float("-inf")
        if upstream.previous_api_key_file is not None:
            former = {"api_key_file": upstream.previous_api_key_file, "previous_api_key_file": None}
            self.other = _PreviousKey(upstream.model_copy(update=former))
            self.other.other = self

    def header(self) -> bytes:
        """Return the Authorization header line, or nothing without a key. Raises `KeyUnusable`."""
        if self._secret is not None and monotonic() - self._looked > LOOK_EVERY:
            self._look(self._secret)
        elif self._value is not None and not self._header:
            self._header = _header(self._value.get_secret_value(), "the configuration")
        return self._header

    def take(self) -> None:
        """Note that a replica has taken it, or the other."""
        self.taken = True
        if self.other is not None:
            self.other.taken = True

    def beside(self, sent: bytes) -> "EngineKey | None":
        """Return this key or the other, if its file says something else by now than the header line that was `sent`."""
        return next((key for key in (self, self.other) if key is not None and key.reread() not in (sent, b"")), None)

    def reread(self) -> bytes:
        """Return what its file says now, however lately it was read; nothing where that is of no use."""
        self._looked = float("-inf")
        try:
            return self.header()
        except KeyUnusable:
            return b""

    def _look(self, secret: SecretFile) -> None:
        try:
            # Kubernetes replaces a mounted folder as a whole, so that the folder's time tells as much as the file's.
            found = Path(secret.file or "").stat()
            if (found.st_mtime_ns, found.st_ino) != self._seen:
                self._header = _header(read_secret(secret), secret.file)
                self._seen = (found.st_mtime_ns, found.st_ino)
        except OSError as error:
            raise KeyUnusable(
                "the engine's key cannot be read", detail=f"{secret.file}: {type(error).__name__}"
            ) from None
        except SecretError as error:
            raise KeyUnusable("the engine's key cannot be used", detail=str(error)) from None
        self._looked = monotonic()


class _PreviousKey(EngineKey):
    """The key that came before; while it cannot be read there is none."""

    def header(self) -> bytes:
        try:
            return super().header()
        except KeyUnusable:
            return b""


def _header(token: str, source: str | None) -> bytes:
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise KeyUnusable("the engine's key is not a single word", detail=source)
    return f"authorization: Bearer {token}\r\n".encode()
