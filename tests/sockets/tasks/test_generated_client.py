"""The OpenAPI document is enough for a generated client to ask for tasks, with their inputs and outputs as classes."""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tandem_contract.config import TaskFile
from tandem_contract.config.task_checks import OWN_PATHS
from tandem_orchestrator.config import task_files

from tests.sockets.running import config_for
from tests.sockets.tasks.conftest import TICKET, says, with_tasks

TICKETS = Path(__file__).parents[3] / "examples/tasks/tickets.yaml"
ANALYSIS = {
    "category": "billing",
    "priority": "high",
    "summary": "Charged twice.",
    "customer_sentiment": "angry",
    "key_issues": ["a second charge"],
    "requires_human": True,
}
REPLY = {"greeting": "Hello,", "acknowledgment": "Sorry.", "solution_steps": ["Wait."], "closing": "Bye."}


@pytest.fixture
async def package(serve, engine, tmp_path, monkeypatch):
    """A generated client's modules, by their names in its package; `.` is an orchestrator's client."""
    engine.rule = lambda asked: says(
        ANALYSIS if asked["response_format"]["json_schema"]["name"] == "analyze-ticket" else REPLY
    )
    config = config_for(engine)
    config.tasks = task_files.read([TaskFile(file=str(TICKETS))])
    orchestrator = await serve(config)
    _, document = await orchestrator.get("/openapi.json")
    document["paths"] = {
        path: operations
        for path, operations in document["paths"].items()
        if "tasks" in operations.get("post", {}).get("tags", ())
    }
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "settings.yaml").write_text("post_hooks: []\npackage_name_override: generated_client\n")
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    command += ["--path", "openapi.json", "--config", "settings.yaml", "--output-path", "generated_client"]
    made = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    monkeypatch.syspath_prepend(tmp_path)
    client = importlib.import_module("generated_client").Client(base_url=orchestrator.url)
    yield lambda name: client if name == "." else importlib.import_module(f"generated_client.{name}")
    for name in [name for name in sys.modules if name.startswith("generated_client")]:
        del sys.modules[name]


async def test_both_samples_are_asked_by_it(package):
    models, client = package("models"), package(".")
    ticket = models.AnalyzeTicketInput(customer_id="CUST123", message="I was charged twice.")
    async with client:
        analysis = await package("api.tasks.analyze_ticket_output").asyncio(client=client, body=ticket)
        assert analysis.to_dict() == ANALYSIS
        assert analysis.category is models.AnalyzeTicketOutputCategory.BILLING
        given = models.GenerateResponseInput.from_dict({"request": ticket.to_dict(), "analysis": analysis.to_dict()})
        ask = package("api.tasks.generate_response").asyncio
        result = await ask(client=client, body=models.GenerateResponseRequest(input_=given))
        assert (result.task, result.output.to_dict()) == ("generate-response", REPLY)
        assert result.usage.total_tokens > 0
        many = await package("api.tasks.analyze_ticket").asyncio(
            client=client,
            body=models.AnalyzeTicketManyRequest(
                inputs=[ticket, models.AnalyzeTicketInput(customer_id="", message="?")]
            ),
        )
        good, bad = many.results
        assert good.output.to_dict() == ANALYSIS
        assert (bad.index, bad.error.code) == (1, "invalid_input")
        refused = await package("api.tasks.analyze_ticket_output").asyncio(
            client=client, body=models.AnalyzeTicketInput(customer_id="", message="?")
        )
        assert refused.error.param == "customer_id"


async def test_the_document_shows_each_their_own_tasks(serve, engine):
    tasks = [TICKET, {**TICKET, "name": "internal", "path": None, "tenants": ["acme"]}]
    orchestrator = await serve(with_tasks(engine, *tasks, keys={"values": ["acme:sk-acme", "other:sk-other"]}))

    async def shown(key=None):
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        status, document = await orchestrator.get("/openapi.json", **headers)
        assert status == 200
        paths = document["paths"]
        assert "/v1/chat/completions" in paths
        return [path for path in paths if "tasks" in paths[path].get("post", {}).get("tags", ())], document

    assert (await shown("sk-acme"))[0] == ["/v1/tasks/analyze", "/analyze", "/v1/tasks/internal"]
    paths, document = await shown("sk-other")
    assert paths == ["/v1/tasks/analyze", "/analyze"]
    assert "InternalOutput" not in document["components"]["schemas"]
    paths, document = await shown()
    assert paths == []
    assert "key" in document["info"]["description"]
    orchestrator.app.reload(with_tasks(engine, {**TICKET, "name": "new"}))
    assert (await shown())[0] == ["/v1/tasks/new", "/analyze"]


async def test_no_task_may_take_a_path_of_the_api(orchestrator):
    _, document = await orchestrator.get("/openapi.json")
    assert {path.split("/")[1] for path in (*document["paths"], "/docs", "/redoc", "/metrics")} < OWN_PATHS
