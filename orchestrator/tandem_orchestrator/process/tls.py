"""The certificate that clients see."""

import ssl
from pathlib import Path

import structlog
from tandem_contract.config import Tls

from tandem_orchestrator.secret_file import SecretError, secret_path

log = structlog.get_logger()


class Certificate:
    """A certificate and its key in files; `context` follows them when they change."""

    def __init__(self, settings: Tls) -> None:
        """Raise `SecretError` when they cannot be used."""
        self._settings = settings
        self.context = _server_context()
        self._seen: object = None
        self._load()

    def refresh(self) -> None:
        """Take changed files for connections to come. While those cannot be used, the ones before stay in force."""
        try:
            if self._load():
                log.info("certificate changed")
        except SecretError as error:
            log.error("certificate cannot be changed", problem=str(error))  # noqa: TRY400 # its trace says no more

    def _load(self) -> bool:
        """Return whether the files had changed."""
        files = secret_path(self._settings.certificate), secret_path(self._settings.key)
        state = [_state(file) for file in files]
        if state == self._seen:
            return False
        self._seen = state
        try:
            _server_context().load_cert_chain(*files)  # a pair that does not match would spoil the context in use
            self.context.load_cert_chain(*files)
        except (OSError, ssl.SSLError) as error:
            raise SecretError(f"{files[0]} and {files[1]} are no certificate and its key: {error}") from None
        return True


def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _state(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_ino
