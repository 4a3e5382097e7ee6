"""A client for the one call that the evaluation makes."""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Engine:
    """An OpenAI-compatible endpoint, e.g. `http://127.0.0.1:8000/v1`."""

    base_url: str
    model: str
    api_key: str = ""

    def reply(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], schema: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the assistant's message after `messages`, forced into `schema` when given.

        Raises `urllib.error.URLError` when the engine cannot answer.
        """
        body: dict[str, Any] = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": 200}
        if tools:
            body["tools"] = tools
        if schema:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(  # noqa: S310 the caller names the engine
            f"{self.base_url}/chat/completions", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310 the same
            message: dict[str, Any] = json.load(response)["choices"][0]["message"]
        return message
