"""`spec.orchestrator.state`: the database that outlives the orchestrator's pods."""

from typing import ClassVar

from tandem_contract.config import SecretFile

from tandem_operator.api.claim import ClaimSpec
from tandem_operator.api.quantity import Quantity
from tandem_operator.rules import Rule, Ruled


class SqliteState(ClaimSpec):
    """A file on a PersistentVolumeClaim, which the operator makes and which goes with the LLMService."""

    size: Quantity = "1Gi"
    """Size of the volume. It may only grow, where its StorageClass lets volumes grow."""


class PostgresState(Ruled):
    """A PostgreSQL. Before new orchestrators start, a Job brings its tables up to date."""

    url_from: SecretFile
    """The URL, postgresql://user:password@host/name, as a secret; CloudNativePG has it in NAME-app, key uri."""


class StateSpec(Ruled):
    """Where the orchestrator's state is: in a file of one pod, or in a PostgreSQL for any number of them."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.sqlite) != has(self.postgres)",
            holds=lambda state: (state.sqlite is None) != (state.postgres is None),
            message="orchestrator.state needs either sqlite or postgres; without state, leave it out",
        ),
    )

    sqlite: SqliteState | None = None
    """SQLite on a volume, for a single pod."""
    postgres: PostgresState | None = None
    """PostgreSQL, for any number of pods."""
