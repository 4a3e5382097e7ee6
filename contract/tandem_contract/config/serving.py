"""`server`, `standalone`, `limits`, `tracing`: the port, and what one request may do to it."""

from typing import Annotated

from pydantic import Field, StringConstraints

from tandem_contract.config.base import HttpUrl, Name, Seconds, SecretFile, Section
from tandem_contract.names import ORCHESTRATOR_PORT

Host = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=r"^(\*|(\*\.)?[^\s/*]+)$")]


class Cors(Section):
    """Which web pages may call the API from a browser."""

    allow_origins: list[Annotated[str, StringConstraints(min_length=1, max_length=2048)]] = Field(
        default=[], max_length=256
    )
    """Origins such as https://chat.example.com, or "*" for all. None means no CORS headers."""
    allow_headers: list[Annotated[str, StringConstraints(min_length=1, max_length=256)]] = Field(
        default=["*"], max_length=64
    )
    """Request headers that pages may send; "*" for all, as clients add headers of their own."""
    max_age_seconds: Seconds = 600.0
    """How long browsers may remember the answer."""


class Tls(Section):
    """Certificate to serve HTTPS with; read again when it changes."""

    certificate: SecretFile
    """PEM file with the certificate and its chain."""
    key: SecretFile
    """PEM file with the private key."""


class Server(Section):
    """The port and its processes."""

    workers: int = Field(default=1, ge=1, le=64)
    """Processes that serve the port; metrics and limits are those of one. An LLMService sets it from the CPU limit."""
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    """A port of its own for /metrics, /health and /ready, which tells all of them without a key: keep clients away from
    it. Default: /metrics stands beside the API. An LLMService sets it to 8002."""
    trusted_hosts: list[Host] = Field(default=[], max_length=256)
    """Host headers that are answered, such as chat.example.com or *.example.com; others get 400. None means all. Health
    endpoints answer anyway."""
    cors: Cors = Cors()
    """Which web pages may call the API from a browser."""
    tls: Tls | None = None
    """Certificate to serve HTTPS with. Default: plain HTTP."""


class Standalone(Section):
    """What an LLMService's pods have from the operator instead."""

    host: Name | None = None
    """Address to listen at, unless --host says another. Default: every one, IPv4 and IPv6."""
    port: int = Field(default=ORCHESTRATOR_PORT, ge=1, le=65_535)
    """Port of the API, unless --port says another."""
    metrics: bool = True
    """Serve /metrics."""


class Limits(Section):
    """Bounds that keep one request from harming the others."""

    max_body_bytes: int = Field(default=10_485_760, ge=1_024, le=268_435_456)
    """A larger request body is refused with 413."""
    max_depth: int = Field(default=128, ge=8, le=250)
    """JSON that is nested deeper is refused with 400."""
    max_header_bytes: int = Field(default=32_768, ge=1_024, le=65_536)
    """A request with larger headers is refused with 431."""
    max_choices: int = Field(default=32, ge=1, le=1024)
    """Most answers that a request may ask for: prompts times `n` or `best_of`."""
    max_inputs: int = Field(default=1000, ge=1, le=100_000)
    """Most inputs of one request to a task."""
    max_concurrent_inputs: int = Field(default=8, ge=1, le=256)
    """As many of them are at the model at the same time."""


class Tracing(Section):
    """OpenTelemetry traces."""

    endpoint: HttpUrl | None = None
    """OTLP/HTTP endpoint, e.g. http://collector:4318. Default: no traces."""
    headers: SecretFile | None = None
    """Headers for the endpoint, one `name: value` a line."""
    sample_ratio: float = Field(default=1.0, ge=0, le=1)
    """Share of requests that are traced when the client does not decide."""
