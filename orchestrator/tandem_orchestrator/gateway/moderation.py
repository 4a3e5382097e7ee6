"""`POST /v1/moderations`, as in OpenAI's API: by rules and a guard model, or by an engine that has moderations."""

import asyncio
from dataclasses import replace
from typing import Any, Final, NamedTuple

import orjson
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS, MODERATIONS
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.guard import Guard
from tandem_orchestrator.gateway.hot_path import Arrived, send_json
from tandem_orchestrator.gateway.request import LARGE, Headers, Request, checked, json_object
from tandem_orchestrator.guardrails import llama_guard
from tandem_orchestrator.guardrails.judgement import result
from tandem_orchestrator.guardrails.llama_guard import Verdict
from tandem_orchestrator.guardrails.rules import rules
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.store.ids import new

OPENAIS: Final = ("omni-moderation", "text-moderation")  # what OpenAI's clients call the model begins so
RULES: Final = "rules"
"""The model that answers are by where there is none."""
MOST_CHARACTERS: Final = 262_144  # of all texts of a request
WITHOUT_TOOLS: Final[Headers] = [(b"x-tandem-tools", b"off")]
_SHAPE: Final = "`input` must be a text, a list of texts, or a list of objects of type text and image_url"


class Input(NamedTuple):
    """What gets one entry of `results`."""

    text: str
    images: tuple[dict[str, Any], ...] = ()

    @property
    def content(self) -> str | list[dict[str, Any]]:
        """What a message says of it."""
        return [{"type": "text", "text": self.text}, *self.images] if self.images else self.text


class Moderations:
    """Judges under one configuration."""

    def __init__(self, generator: Generator, settings: OrchestratorSettings) -> None:
        self._generator = generator
        self._guard = settings.moderations.model
        self._rules = rules(settings.moderations.rules)
        self._limits = settings.limits

    async def serve(self, arrived: Arrived) -> None:
        """Answer. Raises `GatewayError`."""
        request = checked(ENDPOINTS[MODERATIONS], json_object(arrived.body, self._limits.max_depth))
        if self._judges(request.model, arrived.principal):
            answer = orjson.dumps(await self._judged(request, arrived))
        else:
            answer, _ = await self._generator.whole(request, arrived.principal, arrived.record, arrived.headers)
        await send_json(arrived.send, answer)

    def _judges(self, name: str | None, principal: Principal) -> bool:
        """Return whether a request for the model `name` is answered here. Raises `UnknownModel`, `Forbidden`."""
        if self._guard is None and not self._rules:
            return False
        if name is None or name.startswith(OPENAIS):
            return True
        model = self._generator.find(name, principal)
        return self._guard in (model.name, *model.settings.aliases)

    async def _judged(self, request: Request, arrived: Arrived) -> dict[str, Any]:
        inputs = read(request.payload["input"])
        if self._guard is None and any(each.images for each in inputs):
            raise BadRequest("images can only be judged by a model, and `moderations.model` is not set", param="input")
        most = self._limits.max_choices
        if self._guard is not None and len(inputs) > most:
            raise BadRequest(
                f"`input` has {len(inputs)} texts, and a request may have {most}; send several", param="input"
            )
        # one after the other: a client with many texts is not to have a guard's whole batch
        results = [await self._result(each, arrived.principal, arrived.record) for each in inputs]
        return {"id": f"modr-{new()}", "model": self._guard or RULES, "results": results}

    async def _result(self, asked: Input, principal: Principal, record: Record) -> dict[str, Any]:
        found = set[str]()
        for rule in self._rules:
            if rule.matches(asked.text):
                found.add(rule.category)
            if len(asked.text) > LARGE:
                await asyncio.sleep(0)  # others go on between the rules
        verdict = Verdict(flagged=False) if self._guard is None else await self._ask(asked, principal, record)
        others = [rule.category for rule in self._rules]
        types = ["text", "image"] if asked.images else ["text"]
        return result({*found, *verdict.categories}, others, types, flagged=verdict.flagged)

    async def _ask(self, asked: Input, principal: Principal, record: Record) -> Verdict:
        """Ask the guard, which the configuration chose and not the client: the key need not allow it."""
        payload = {
            "messages": [{"role": "user", "content": asked.content}],
            "temperature": 0,
            "max_tokens": llama_guard.MOST_TOKENS,
        }
        request = Request(ENDPOINTS[CHAT], payload, self._guard, stream=False)
        request.ours = True
        request.guard = Guard({}, record)  # it judges, and is not judged
        _, answer = await self._generator.whole(request, replace(principal, models=None), record, WITHOUT_TOOLS)
        return llama_guard.read((answer["choices"][0].get("message") or {}).get("content"))


def read(asked: Any) -> list[Input]:
    """Return the inputs of a request: each text is one, and all objects together are one. Raises `BadRequest`."""
    entries = asked if isinstance(asked, list) else [asked]
    if all(isinstance(entry, str) for entry in entries):
        inputs = [Input(entry) for entry in entries]
    elif all(isinstance(entry, dict) for entry in entries):
        inputs = [_together(entries)]
    else:
        raise BadRequest(_SHAPE, param="input")
    if sum(len(each.text) for each in inputs) > MOST_CHARACTERS:
        raise BadRequest(
            f"`input` has more than {MOST_CHARACTERS} characters; send it in several requests",
            param="input",
            code="input_too_long",
        )
    return inputs


def _together(parts: list[dict[str, Any]]) -> Input:
    texts = [part.get("text") for part in parts if part.get("type") == "text"]
    images = [part.get("image_url") for part in parts if part.get("type") == "image_url"]
    well = all(isinstance(text, str) for text in texts) and all(
        isinstance(image, dict) and isinstance(image.get("url"), str) for image in images
    )
    if not well or len(texts) + len(images) < len(parts):
        raise BadRequest(_SHAPE, param="input")
    kept = tuple({"type": "image_url", "image_url": image} for image in images)
    return Input("\n".join(text for text in texts if text is not None), kept)
