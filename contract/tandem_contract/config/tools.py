"""`tools`: what the orchestrator runs for a model."""

from enum import StrEnum

from pydantic import Field

from tandem_contract.config.base import HttpUrl, Seconds, Section


class BuiltinTool(StrEnum):
    """Tools that the orchestrator brings along."""

    WEATHER = "get_current_weather"
    MATH = "calculate_math"


class Attach(StrEnum):
    """When server-side tools are offered to the model."""

    DECLARED = "declared"
    ALWAYS = "always"


class Weather(Section):
    """Where `get_current_weather` asks; the service must speak Open-Meteo's API."""

    geocoding_url: HttpUrl = "https://geocoding-api.open-meteo.com/v1/search"
    """Finds a place by its name."""
    forecast_url: HttpUrl = "https://api.open-meteo.com/v1/forecast"
    """Tells the current weather at a latitude and longitude."""


class Tools(Section):
    """Tools that run on the server."""

    attach: Attach = Attach.DECLARED
    """declared: a tool runs when a request declares one of its name; always: every request is offered all of them."""
    enabled: list[BuiltinTool] = Field(default=[BuiltinTool.WEATHER, BuiltinTool.MATH], max_length=16)
    """Built-in tools that may run."""
    max_rounds: int = Field(default=8, ge=1, le=64)
    """Engine passes in one request that may ask for tools."""
    max_calls: int = Field(default=32, ge=1, le=256)
    """Tool calls in one request."""
    timeout_seconds: Seconds = 10.0
    """Time for one tool call."""
    max_result_bytes: int = Field(default=65_536, ge=256, le=4_194_304)
    """A longer result is cut there, and says so."""
    weather: Weather = Weather()
    """Settings of `get_current_weather`."""
