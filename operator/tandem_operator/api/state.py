"""`spec.orchestrator.state`: the database that outlives the orchestrator's pods."""

from typing import ClassVar

from tandem_contract.config import SecretFile

from tandem_operator.api.model import ObjectName
from tandem_operator.api.quantity import Quantity, number
from tandem_operator.rules import Rule, Ruled


class SqliteState(Ruled):
    """A file on a PersistentVolumeClaim, which the operator makes and which goes with the LLMService."""

    # What has changed only the API server sees; the operator finds out when it writes the claim.
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="quantity(string(self.size)).isGreaterThan(quantity('0'))",
            holds=lambda sqlite: number(sqlite.size) > 0,
            message="state.sqlite.size must be more than 0; write for example 1Gi",
            field="size",
        ),
        Rule(
            cel="!quantity(string(self.size)).isLessThan(quantity(string(oldSelf.size)))",
            holds=lambda _: True,
            message="state.sqlite.size may only grow, as no volume can shrink; keep it or raise it",
            field="size",
        ),
        Rule(
            cel="has(self.storageClassName) == has(oldSelf.storageClassName)"
            " && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)",
            holds=lambda _: True,
            message="state.sqlite.storageClassName must stay as it is: a claim keeps its class; "
            "make another LLMService for another class",
            field="storageClassName",
        ),
    )

    size: Quantity = "1Gi"
    """Size of the volume. It may only grow, where its StorageClass lets volumes grow."""
    storage_class_name: ObjectName | None = None
    """StorageClass of the volume. Default: the cluster's own."""


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
