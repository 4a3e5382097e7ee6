"""The orchestrator's configuration file.

`OrchestratorSettings` is what a person may set, in the file or under `spec.orchestrator.config` of an
`LLMService`; `OrchestratorConfig` adds what the operator (or, without Kubernetes, `VLLM_URL`) fills in.
Keys are camelCase in YAML; snake_case is read as well, since environment variables use it.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@]+(/\S*)?$", max_length=2048)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """Base of every section: unknown keys are errors, so that a typo is seen."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", use_attribute_docstrings=True
    )


class LogLevel(StrEnum):
    """Least severe level that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class BuiltinTool(StrEnum):
    """Tools that the orchestrator brings along."""

    WEATHER = "get_current_weather"
    MATH = "calculate_math"


class Logging(Section):
    """What is logged; a line is one JSON object."""

    level: LogLevel = LogLevel.INFO
    """Least severe level that is logged."""


class Timeouts(Section):
    """How long each phase of a request to the engine may take."""

    connect_seconds: Seconds = 5.0
    """Opening a connection to the engine."""
    first_byte_seconds: Seconds = 600.0
    """From the request's last byte to the answer's first."""
    idle_seconds: Seconds = 120.0
    """Silence between two pieces of an answer."""


class Weather(Section):
    """Where `get_current_weather` asks; the service must speak Open-Meteo's API."""

    geocoding_url: HttpUrl = "https://geocoding-api.open-meteo.com/v1/search"
    """Finds a place by its name."""
    forecast_url: HttpUrl = "https://api.open-meteo.com/v1/forecast"
    """Tells the current weather at a latitude and longitude."""


class Tools(Section):
    """Tools that run on the server when a request declares one of their names."""

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


class Limits(Section):
    """Bounds that keep one request from harming the others."""

    max_body_bytes: int = Field(default=10_485_760, ge=1_024, le=268_435_456)
    """A larger request body is refused with 413."""


class OrchestratorSettings(Section):
    """What a person may set about the orchestrator."""

    logging: Logging = Logging()
    """Log output."""
    timeouts: Timeouts = Timeouts()
    """Time limits towards the engine."""
    tools: Tools = Tools()
    """Server-side tools."""
    limits: Limits = Limits()
    """Bounds on requests."""
    drain_seconds: Seconds = 120.0
    """How long open requests may go on after SIGTERM; the pod's grace period follows it."""


class Upstream(Section):
    """One engine that serves one model under an OpenAI-compatible API."""

    name: str = Field(min_length=1, max_length=253)
    """Name in logs and metrics."""
    url: HttpUrl
    """Base URL, with or without a trailing /v1."""
    model: str | None = Field(default=None, min_length=1, max_length=253)
    """Served model name, as clients write it; left out, the engine's own list of models says it."""
    api_key_file: str | None = None
    """File whose content is sent to the engine as a bearer token; read again when it changes."""


class OrchestratorConfig(OrchestratorSettings):
    """The whole configuration file."""

    upstreams: list[Upstream] = Field(min_length=1, max_length=64)
    """Engines behind this orchestrator; the first one's model is the default."""
