import pytest

from tests.sockets.batches.conftest import brisk  # noqa: F401 # a fixture
from tests.sockets.oidc.issuer import running_issuer
from tests.sockets.running import Orchestrator, config_for, until

KEY = "tk-a-key-beside-tokens"


@pytest.fixture
async def issuer(tmp_path):
    async with running_issuer(tmp_path) as issuer:
        yield issuer


@pytest.fixture
def serving(serve, engine, issuer):
    """Starts an orchestrator that takes the issuer's tokens, beside one key."""

    async def start(*, ready: bool = True, **others) -> Orchestrator:
        settings = {"oidc": {"issuers": [issuer.settings(**others)]}, "keys": {"values": [f"keys:{KEY}"]}}
        orchestrator = await serve(config_for(engine, **settings))
        if ready:
            await until(lambda: orchestrator.app.services.keys.issuers.checked)
        return orchestrator

    return start


@pytest.fixture
async def orchestrator(serving):
    return await serving()
