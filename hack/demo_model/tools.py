"""The tools that a dialogue offers, in the shape of the OpenAI API."""

import json
import random
from typing import Any, Final

from hack.demo_model.spellings import letters

CALCULATE: Final = "calculate_math"
WEATHER: Final = "get_current_weather"
SEARCH: Final = "file_search"

OTHERS: Final = {
    "query_database": ("query",),
    "web_search": ("query",),
    "get_time": ("zone",),
    "send_email": ("to", "subject", "body"),
    "create_ticket": ("title", "priority"),
}


def tool(name: str, *parameters: str) -> dict[str, Any]:
    """Return a tool declaration whose parameters are all strings."""
    properties = {parameter: {"type": "string"} for parameter in parameters}
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}}


def calculate() -> dict[str, Any]:
    """Return the declaration of calculate_math."""
    return tool(CALCULATE, "expression")


def weather(*, unit: bool = True) -> dict[str, Any]:
    """Return the declaration of get_current_weather, with or without its `unit`."""
    return tool(WEATHER, "location", "unit") if unit else tool(WEATHER, "location")


def search() -> dict[str, Any]:
    """Return the declaration of file_search, as the orchestrator has it."""
    return tool(SEARCH, "queries")


def other(rng: random.Random) -> dict[str, Any]:
    """Return a tool that the model does not use: a well-known one or an invented one."""
    if rng.random() < 0.7:
        name = rng.choice(tuple(OTHERS))
        return tool(name, *OTHERS[name])
    return tool(f"{letters(rng)}_{letters(rng)}", *(letters(rng) for _ in range(rng.randint(0, 3))))


def offer(rng: random.Random) -> list[dict[str, Any]]:
    """Return a random set of tools in random order; empty in one dialogue of eight."""
    kind = rng.random()
    if kind < 0.12:
        return []
    offered = [other(rng) for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 2, 3)))]
    if kind < 0.18:
        return offered or [other(rng)]
    if rng.random() < 0.88:
        offered.append(calculate())
    if rng.random() < 0.88:
        offered.append(weather(unit=rng.random() < 0.7))
    if rng.random() < 0.35:
        offered = [search(), *(offered if rng.random() < 0.5 else [])]
    rng.shuffle(offered)
    return offered or [calculate()]


def names(offered: list[dict[str, Any]]) -> set[str]:
    """Return the names of the tools `offered`."""
    return {entry["function"]["name"] for entry in offered}


def takes_unit(offered: list[dict[str, Any]]) -> bool:
    """Return whether the weather tool is offered and has a `unit` parameter."""
    return any(
        entry["function"]["name"] == WEATHER and "unit" in entry["function"]["parameters"]["properties"]
        for entry in offered
    )


def call(name: str, **arguments: str | list[str]) -> dict[str, Any]:
    """Return one entry of an assistant message's `tool_calls`, with decoded arguments."""
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def failure(rng: random.Random, reason: str) -> str:
    """Return what a failed tool reports for `reason`."""
    return rng.choice((json.dumps({"error": reason}), json.dumps({"error": reason}, separators=(",", ":")),
                       f"Error: {reason}", f"error: {reason}"))  # fmt: skip
