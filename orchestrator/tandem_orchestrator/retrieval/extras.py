"""What vector stores cannot do here for want of an extra or of the kernel's help, said where settings are applied."""

from importlib.util import find_spec

import structlog
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.files.storage import Storage
from tandem_orchestrator.part import Part
from tandem_orchestrator.retrieval import parsing
from tandem_orchestrator.retrieval.index.indexes import NO_NUMPY
from tandem_orchestrator.store.database import Database

log = structlog.get_logger()


class Extras(Part):
    """Looks once, as what is installed stays so; says nothing where no files are kept."""

    def __init__(self, config: OrchestratorConfig, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage
        self._limits = limitations()
        self._logged: set[str] = set()
        self.update(config)

    def update(self, config: OrchestratorConfig) -> None:
        """Look what changed settings need; `storage` has taken them before."""
        self._unusable = unusable(config, sqlite=self._database.is_file)
        for line in {*self.problems, *self.limitations} - self._logged:
            log.warning("not everything is installed", problem=line)
            self._logged.add(line)

    @property
    def problems(self) -> list[str]:
        """A line where vector stores cannot be used as they are configured."""
        return [f"retrieval: {line}" for line in self._unusable] if self._storage.configured else []

    @property
    def limitations(self) -> list[str]:
        """A line for what is not read, or is read with less protection."""
        return self._limits if self._storage.configured else []


def limitations() -> list[str]:
    """Return a line for what is not read on this machine, or is read with less protection."""
    return [*parsing.missing(), *parsing.problems()]


def unusable(config: OrchestratorConfig, *, sqlite: bool) -> list[str]:
    """Return a line where the settings need an extra that is not there."""
    embedding = config.retrieval.embedding
    wanted = embedding.model is not None or embedding.path is not None
    return [NO_NUMPY] if sqlite and wanted and find_spec("numpy") is None else []
