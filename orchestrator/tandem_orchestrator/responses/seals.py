"""The keys of `Seal`: from files, or else one that is made once and kept in the database."""

from collections.abc import Sequence
from secrets import token_hex

from tandem_contract.config import SecretFile

from tandem_orchestrator.errors import GatewayError
from tandem_orchestrator.responses.seal import Seal, key_of, new_key
from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.store.rows import Rows, now

REREAD_MS = 5000  # how long a key that was added elsewhere may stay unknown here


class Seals:
    """Reads the keys when they are needed, again from time to time."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._read = 0
        self._sources: Sequence[SecretFile] = ()
        self._seal: Seal | None = None

    async def seal(self, sources: Sequence[SecretFile]) -> Seal:
        """Return what seals and opens. Raises `GatewayError`, among them `DatabaseDown`."""
        if self._seal is None or sources != self._sources or now() - self._read > REREAD_MS:
            secrets = _from_files(sources) if sources else await self._from_database()
            self._seal, self._sources, self._read = Seal([key_of(secret) for secret in secrets]), sources, now()
        return self._seal

    async def rotate(self) -> None:
        """Add a key to the database with which all that comes is sealed; those before go on reading."""
        row = {"id": token_hex(8), "created": now(), "key": new_key()}
        await self._rows.write(("ANY_ADD_SEAL", [row]))

    async def _from_database(self) -> list[str]:
        rows = await self._rows.read("ANY_SEALS")
        if not rows:
            await self.rotate()
            rows = await self._rows.read("ANY_SEALS")  # two processes may have made one each, and both count
        return [row[1] for row in rows]


def _from_files(sources: Sequence[SecretFile]) -> list[str]:
    try:
        return [read_secret(source) for source in sources]
    except SecretError:
        raise GatewayError("an encryption key cannot be read; /health says why") from None
