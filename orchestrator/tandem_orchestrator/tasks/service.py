"""Answers requests to tasks."""

from collections.abc import Mapping
from functools import partial
from random import random
from time import time
from typing import Any

import orjson
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.errors import NotFound
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.hot_path import JSON_TYPE, Answer, Arrived, send_json
from tandem_orchestrator.gateway.request import json_object
from tandem_orchestrator.limits.limiter import Limiter
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.retrieval.searching import Searching
from tandem_orchestrator.store.ids import new
from tandem_orchestrator.tasks.asked import Asked, asked
from tandem_orchestrator.tasks.inputs import Inputs
from tandem_orchestrator.tasks.making import Asker, Given, Made, Maker
from tandem_orchestrator.tasks.many import each
from tandem_orchestrator.tasks.partial_stream import ITEM, PartialStream
from tandem_orchestrator.tasks.paths import PATH, VERSION_HEADER
from tandem_orchestrator.tasks.version import Version
from tandem_orchestrator.tasks.versions import Versions


class Tasks:
    """The tasks of one configuration. Raises `ConfigError` on one that cannot be used."""

    def __init__(
        self, generator: Generator, searching: Searching, limiter: Limiter, settings: OrchestratorSettings
    ) -> None:
        self._generator = generator
        self._maker = Maker(generator, searching)
        self._limiter = limiter
        self._limits = settings.limits
        self._tasks: dict[str, Versions] = {}
        for n, task in enumerate(settings.tasks):
            self._tasks.setdefault(task.name, Versions()).add(Version(task, task.place(n)))

    @property
    def paths(self) -> Mapping[str, Answer]:
        """What answers POST at each task's path."""
        return {f"{PATH}/{name}": partial(self._serve, name) for name in self._tasks}

    @property
    def short_paths(self) -> Mapping[str, Answer]:
        """What answers at those of their own that tasks have."""
        return {path: partial(self._serve_short, name) for name, task in self._tasks.items() for path in task.paths}

    def shown(self, principal: Principal) -> list[dict[str, Any]]:
        """Return the tasks that somebody may use, as the API tells of them."""
        found = ((name, task.of(principal.tenant)) for name, task in self._tasks.items())
        return [_shown(name, versions) for name, versions in found if versions]

    def unknown(self, name: str, principal: Principal) -> NotFound:
        """Return the error for a task that somebody does not have."""
        there = ", ".join(task["name"] for task in self.shown(principal)) or "none"
        return NotFound(f"there is no task {name[:64]!r} here; there are: {there}", code="task_not_found")

    async def _serve(self, name: str, arrived: Arrived) -> None:
        """Answer `POST /v1/tasks/{name}`. Raises `GatewayError`, also after a stream's start."""
        wanted = asked(json_object(arrived.body, self._limits.max_depth), self._limits.max_inputs)
        arrived.body = b""
        version = self._version(name, wanted.version, arrived.principal)
        head = self._head(version, arrived.principal)
        if wanted.inputs is not None:
            await self._serve_many(version, wanted, wanted.inputs, head, arrived)
            return
        given, asker = Given(wanted.input, "input"), _asker(arrived)
        if not wanted.stream:
            made = await self._maker.whole(version, given, asker)
            await send_json(arrived.send, orjson.dumps(_result(head, made, arrived.record)))
            return
        stream = PartialStream(arrived.exchange, arrived.record, arrived.send)
        made = await self._maker.stream(version, given, asker, stream)
        await stream.complete(_result(head, made, arrived.record))
        arrived.record.tell(None)

    async def _serve_short(self, name: str, arrived: Arrived) -> None:
        """Answer at a task's own path: an input comes, and the output goes. Raises `GatewayError`."""
        given = json_object(arrived.body, self._limits.max_depth)
        arrived.body = b""
        version = self._version(name, None, arrived.principal)
        record = arrived.record
        record.headers = [*record.headers, (VERSION_HEADER, version.number.encode())]
        made = await self._maker.whole(version, Given(given, ""), _asker(arrived))
        await send_json(arrived.send, orjson.dumps(made.output))

    async def _serve_many(
        self, version: Version, wanted: Asked, given: list[Any], head: dict[str, Any], arrived: Arrived
    ) -> None:
        """Answer with what came of each input, and keep none of it longer than its turn takes to come."""
        inputs = Inputs(self._maker, self._limiter, version, arrived, given)
        head["object"] = "task.results"
        writing = _Streamed(arrived) if wanted.stream else _Document(arrived, head)
        most = self._limits.max_concurrent_inputs
        await each(len(given), most, inputs.result, writing.write, ordered=not wanted.stream)
        await writing.end(head | {"usage": _usage(inputs.prompt_tokens, inputs.completion_tokens)})

    def _version(self, name: str, number: str | None, principal: Principal) -> Version:
        """Return the version that a request gets. Raises `NotFound`."""
        usable = self._tasks[name].of(principal.tenant)
        if not usable:
            raise self.unknown(name, principal)
        return usable.drawn(random()) if number is None else usable.named(number)  # noqa: S311 # no secret

    def _head(self, version: Version, principal: Principal) -> dict[str, Any]:
        """Return what a result begins with. Raises `UnknownModel`, `Forbidden`."""
        return {
            "id": f"task_{new()}",
            "object": "task.result",
            "created_at": int(time()),
            "task": version.name,
            "version": version.number,
            "model": self._generator.find(version.settings.model, principal).name,
        }


class _Document:
    """Many results as one JSON document, which is written as they come."""

    def __init__(self, arrived: Arrived, head: dict[str, Any]) -> None:
        self._send = arrived.send
        self._before = orjson.dumps(head)[:-1] + b',"results":['

    async def write(self, number: int, result: bytes) -> None:
        if number == 0:
            await self._send({"type": "http.response.start", "status": 200, "headers": [JSON_TYPE]})
        await self._send({"type": "http.response.body", "body": self._before + result, "more_body": True})
        self._before = b","

    async def end(self, result: dict[str, Any]) -> None:
        await self._send({"type": "http.response.body", "body": b'],"usage":%b}' % orjson.dumps(result["usage"])})


class _Streamed:
    """Many results as events."""

    def __init__(self, arrived: Arrived) -> None:
        arrived.record.stream = True
        self._record = arrived.record
        self._stream = PartialStream(arrived.exchange, arrived.record, arrived.send)

    async def write(self, _: int, result: bytes) -> None:
        await self._stream.tell(ITEM, orjson.loads(result))

    async def end(self, result: dict[str, Any]) -> None:
        await self._stream.complete(result)
        self._record.tell(None)


def _asker(arrived: Arrived) -> Asker:
    return Asker(arrived.principal, arrived.record, arrived.headers)


def _result(head: dict[str, Any], made: Made, record: Record) -> dict[str, Any]:
    told = {} if made.tandem is None else {"tandem": made.tandem}
    return {**head, "output": made.output, "usage": _usage(record.prompt_tokens, record.completion_tokens), **told}


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _shown(name: str, versions: Versions) -> dict[str, Any]:
    first = versions.all[0].settings
    return {
        "name": name,
        "object": "task",
        "description": first.description,
        "path": first.path,
        "versions": [
            {
                "version": version.number,
                "weight": version.settings.weight,
                "input": version.input,
                "output": version.output.schema,
            }
            for version in versions.all
        ],
    }
