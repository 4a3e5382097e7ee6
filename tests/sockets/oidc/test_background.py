"""What was asked for by a token goes on when the token has ended, as long as its issuer is one."""

import pytest

from tests.sockets.batches.asking import begun, client_of, ended, jsonl, lines
from tests.sockets.oidc.conftest import KEY
from tests.sockets.running import config_for, until


@pytest.fixture
def token(issuer):
    return issuer.sign(org="research", models=["double"])


@pytest.fixture
async def orchestrator(serve, engine, issuer, tmp_path, brisk):
    claims = {"tenant": "org", "models": "models"}
    orchestrator = await serve(
        config_for(
            engine,
            database={"url": f"sqlite:///{tmp_path}/tandem.db"},
            files={"folder": str(tmp_path / "files")},
            keys={"values": [f"research:{KEY}"]},
            oidc={"issuers": [issuer.settings(tenant=None, claims=claims)]},
        )
    )
    await until(lambda: orchestrator.app.services.keys.issuers.checked)
    return orchestrator


def forget(orchestrator) -> None:
    """Leaves nothing of a token behind, as in another process, or once it has expired."""
    orchestrator.app.services.keys.issuers.tokens.clear()


async def test_a_batch(orchestrator, token):
    async with client_of(orchestrator, token) as client, client_of(orchestrator, KEY) as of_same_tenant:
        batch = await begun(client, jsonl(lines(3)))
        forget(orchestrator)
        done = await ended(of_same_tenant, batch.id)
        assert (done.status, done.request_counts.completed) == ("completed", 3)


async def test_a_batch_for_a_model_that_the_token_does_not_allow(orchestrator, issuer):
    async with client_of(orchestrator, issuer.sign(org="research", models=["another"])) as client:
        batch = await ended(client, (await begun(client, jsonl(lines(1)))).id)
        (problem,) = batch.errors.data
        assert (batch.status, problem.code, problem.param, problem.line) == ("failed", "not_allowed", "body.model", 1)


async def test_a_batch_for_more_models_than_there_is_room_for(orchestrator, issuer):
    async with client_of(orchestrator, issuer.sign(org="research", models=["double", *"abc" * 40])) as client:
        with pytest.raises(Exception, match="lists of models and tools are too long"):
            await begun(client, jsonl(lines(1)))


async def test_a_response(orchestrator, token):
    async with client_of(orchestrator, token) as client, client_of(orchestrator, KEY) as of_same_tenant:
        response = await client.responses.create(model="double", input="Hello", background=True)
        forget(orchestrator)
        while response.status in ("queued", "in_progress"):
            response = await of_same_tenant.responses.retrieve(response.id)
        assert response.status == "completed"
