"""`POST /tokenize`, as vLLM has it: how many tokens a prompt is, or a chat as it would be sent."""

from typing import Any, Final

import orjson
from tandem_contract.config import OrchestratorSettings

from tandem_orchestrator.engines.answers import without_path
from tandem_orchestrator.engines.endpoints import TOKENIZE, Endpoint
from tandem_orchestrator.errors import BadRequest, Malformed
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.hot_path import Arrived, send_json
from tandem_orchestrator.gateway.request import checked, json_object

PROMPT: Final = Endpoint(TOKENIZE, "prompt", "count", generates=False, several=False, salted=False)
CHAT: Final = Endpoint(TOKENIZE, "messages", "count", chat=True, generates=False, several=False, salted=False)
BECOME_TOKENS: Final = ("messages", "prompt", "tools", "chat_template", "chat_template_kwargs")
NOT_FOUND: Final = 404


class Tokenizer:
    """Counts under one configuration. A request costs no tokens: no model reads them."""

    def __init__(self, generator: Generator, settings: OrchestratorSettings) -> None:
        self._generator = generator
        self._limits = settings.limits

    async def serve(self, arrived: Arrived) -> None:
        """Answer. Raises `GatewayError`.

        What the service adds, such as a system prompt, is counted; then the tokens themselves, of which its text could
        be made again, are left out.
        """
        payload = json_object(arrived.body, self._limits.max_depth)
        if "prompt" in payload and "messages" in payload:
            raise BadRequest("set `prompt` or `messages`, not both", param="prompt")
        said = {name: payload.get(name) for name in BECOME_TOKENS}
        request = checked(CHAT if "messages" in payload else PROMPT, payload)
        record = arrived.record
        call, body = await self._generator.first_pass(request, arrived.principal, record, arrived.headers)
        told = await self._generator.engines.tokenize(call, body)
        if told is None:
            raise without_path(TOKENIZE, record.model, NOT_FOUND)
        if not isinstance(told.get("count"), int):
            raise Malformed("the engine's answer has no count")
        asked: dict[str, Any] = orjson.loads(body)
        if any(asked.get(name) != value for name, value in said.items()):
            told |= {"tokens": [], "token_strs": None}
        await send_json(arrived.send, orjson.dumps(told))
