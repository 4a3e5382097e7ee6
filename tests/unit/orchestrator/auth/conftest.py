import pytest
import structlog
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.store.database import Database


@pytest.fixture
def keys(tmp_path):
    """Keys of a configuration's `keys` section, without anything in the database."""

    def make(**section):
        config = OrchestratorConfig.model_validate(
            {
                "upstreams": [{"name": "engine", "url": "http://engine"}],
                "keys": section,
                "database": {"url": f"sqlite:///{tmp_path}/none.db"},
            }
        )
        return Keys(config, Database(config.database))

    return make


@pytest.fixture
def logged():
    """Everything that is logged."""
    with structlog.testing.capture_logs() as lines:
        yield lines
