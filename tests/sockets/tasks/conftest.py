import json
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from tests.engine_double import Reply
from tests.sockets.running import Orchestrator, config_for

OUTPUT: dict[str, Any] = {
    "type": "object",
    "properties": {"category": {"enum": ["billing", "other"]}, "summary": {"type": "string"}},
    "required": ["category", "summary"],
    "additionalProperties": False,
}
FITS = {"category": "billing", "summary": "Charged twice."}
MISSES = {"category": "weather", "summary": "Charged twice."}
TICKET = {
    "name": "analyze",
    "path": "/analyze",
    "prompt": "About: {{ message }}",
    "input": {"properties": {"message": {"type": "string", "maxLength": 1000}}, "required": ["message"]},
    "output": OUTPUT,
    "parameters": {"temperature": 0},
}
PATH = "/v1/tasks/analyze"
GIVEN = {"message": "I was charged twice."}


def says(document: Any, **fields: Any) -> Reply:
    return Reply(document if isinstance(document, str) else json.dumps(document), **fields)


def counted(outcome: str, version: str = "1", task: str = "analyze") -> float:
    labels = {"task": task, "version": version, "outcome": outcome}
    return REGISTRY.get_sample_value("tandem_task_requests_total", labels) or 0


def with_tasks(engine: Any, *tasks: Any, **settings: Any) -> Any:
    return config_for(engine, tasks=list(tasks or [TICKET]), **settings)


@pytest.fixture
def ask(serve, engine) -> Callable[..., Any]:
    """Asks an orchestrator with these tasks; its status, answer and headers."""
    engine.rule = lambda _: says(FITS)

    async def asked(orchestrator: Orchestrator, path: str = PATH, **fields: Any) -> tuple[int, Any]:
        async with orchestrator.client.post(path, json=fields) as response:
            return response.status, await response.json()

    return asked


@pytest.fixture
async def served(serve, engine) -> Orchestrator:
    engine.rule = lambda _: says(FITS)
    return await serve(with_tasks(engine))


def read(text):
    """The events of a stream: their names and data."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(block[0].removeprefix("event: "), json.loads(block[-1].removeprefix("data: "))) for block in blocks]
