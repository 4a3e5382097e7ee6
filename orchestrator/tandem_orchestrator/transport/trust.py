"""Whose word about an engine's certificate is taken."""

import ssl

from tandem_contract.config import SecretFile

from tandem_orchestrator.errors import Unreachable
from tandem_orchestrator.secret_file import SecretError, secret_path


class Trust:
    """The TLS context for connections to an engine: by a file of authorities, which is read again when it changes, or
    by those that the system trusts.
    """

    def __init__(self, authorities: SecretFile | None) -> None:
        self._authorities = authorities
        self._context = ssl.create_default_context() if authorities is None else None
        self._seen: tuple[int, int] | None = None

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection. Raises `Unreachable`."""
        if self._authorities is not None:
            try:
                self._load(self._authorities)
            except (OSError, SecretError) as error:  # an SSLError is an OSError
                self._context = self._seen = None
                raise Unreachable(
                    "the certificates that the engine is checked by cannot be used",
                    detail=f"{self._authorities.file}: {error}",
                ) from None
        assert self._context is not None  # noqa: S101 # loaded above
        return self._context

    def _load(self, authorities: SecretFile) -> None:
        path = secret_path(authorities)
        found = path.stat()
        if self._context is None or (found.st_mtime_ns, found.st_ino) != self._seen:
            self._context = ssl.create_default_context(cafile=str(path))
            self._seen = (found.st_mtime_ns, found.st_ino)
