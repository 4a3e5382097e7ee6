"""Request headers of a tool, some of them secret."""

from collections.abc import Mapping, Sequence

from tandem_contract.config import Header

from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.tools.tool import ToolError


class ToolHeaders:
    """The headers that a configuration gives to all requests of a tool."""

    def __init__(self, plain: Mapping[str, str], secret: Sequence[Header]) -> None:
        self._plain = {name.lower(): value for name, value in plain.items()}
        self._secret = tuple(secret)

    @property
    def are_secret(self) -> bool:
        """Whether any of them must not reach another server."""
        return bool(self._secret)

    def read(self) -> dict[str, str]:
        """Return all of them, their names in lower case.

        Secrets are read anew, so that a changed one counts at once. Raises `SecretError`.
        """
        secret = {header.name.lower(): f"{header.prefix}{read_secret(header.value)}" for header in self._secret}
        return self._plain | secret

    def for_call(self) -> dict[str, str]:
        """Return all of them as `read` does. Raises `ToolError`, which tells the model nothing about files."""
        try:
            return self.read()
        except SecretError as error:
            raise ToolError("the tool's credentials are not there") from error
