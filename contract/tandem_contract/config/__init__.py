"""The orchestrator's configuration file, one module a section.

`OrchestratorSettings` is what a person may set, in the file or under `spec.orchestrator.config` of an
`LLMService`; `OrchestratorConfig` adds what has a place of its own there, or what the operator (or, without
Kubernetes, a person) fills in.
Keys are camelCase in YAML; snake_case is read as well, since environment variables use it.
"""

from typing import Final

from pydantic import Field

from tandem_contract.config.base import JsonObject, Seconds, SecretFile, Section
from tandem_contract.config.batches import Batches
from tandem_contract.config.files import S3, FileQuota, Files, FileSettings
from tandem_contract.config.guardrails import (
    FailurePolicy,
    GuardedText,
    GuardModel,
    Guardrail,
    GuardrailAction,
    Injections,
    ModerationEndpoint,
    PersonalData,
    PersonalDataKind,
    SecretKind,
    Secrets,
    Topic,
)
from tandem_contract.config.keys import KeyLimits, Keys, RateLimits
from tandem_contract.config.logs import LogFormat, Logging, LogLevel
from tandem_contract.config.models import ModelSettings
from tandem_contract.config.moderations import ModerationRule, Moderations
from tandem_contract.config.oidc import Algorithm, Issuer, Oidc, Plan
from tandem_contract.config.responses import Background, Quota, ReasoningEvents, Responses
from tandem_contract.config.retrieval import Chunking, Embedding, Ingestion, Retrieval, StoreQuota
from tandem_contract.config.serving import Cors, Limits, Server, Standalone, Tls, Tracing
from tandem_contract.config.stores import Database, Redis
from tandem_contract.config.tasks import Task, TaskFile, TaskRetrieval
from tandem_contract.config.tenants import ServiceClass, Tenant
from tandem_contract.config.timeouts import Timeouts
from tandem_contract.config.tools import (
    Attach,
    BuiltinTool,
    Header,
    HttpMethod,
    HttpTool,
    McpServer,
    OpenApi,
    PythonTool,
    QueryDatabase,
    SearchProvider,
    Tools,
    Weather,
    WebSearch,
)
from tandem_contract.config.upstreams import (
    Adapter,
    Discovery,
    Hold,
    Routing,
    StructuredOutputs,
    Upstream,
    UpstreamTls,
    UpstreamType,
)

__all__ = [
    "NEEDS_RESTART",
    "S3",
    "Adapter",
    "Algorithm",
    "Attach",
    "Background",
    "Batches",
    "BuiltinTool",
    "Chunking",
    "Cors",
    "Database",
    "Discovery",
    "Embedding",
    "FailurePolicy",
    "FileQuota",
    "FileSettings",
    "Files",
    "GuardModel",
    "GuardedText",
    "Guardrail",
    "GuardrailAction",
    "Header",
    "Hold",
    "HttpMethod",
    "HttpTool",
    "Ingestion",
    "Injections",
    "Issuer",
    "JsonObject",
    "KeyLimits",
    "Keys",
    "Limits",
    "LogFormat",
    "LogLevel",
    "Logging",
    "McpServer",
    "ModelSettings",
    "ModerationEndpoint",
    "ModerationRule",
    "Moderations",
    "Oidc",
    "OpenApi",
    "OrchestratorConfig",
    "OrchestratorSettings",
    "PersonalData",
    "PersonalDataKind",
    "Plan",
    "PythonTool",
    "QueryDatabase",
    "Quota",
    "RateLimits",
    "ReasoningEvents",
    "Redis",
    "Responses",
    "Retrieval",
    "Routing",
    "SearchProvider",
    "SecretFile",
    "SecretKind",
    "Secrets",
    "Section",
    "Server",
    "ServiceClass",
    "Standalone",
    "StoreQuota",
    "StructuredOutputs",
    "Task",
    "TaskFile",
    "TaskRetrieval",
    "Tenant",
    "Timeouts",
    "Tls",
    "Tools",
    "Topic",
    "Tracing",
    "Upstream",
    "UpstreamTls",
    "UpstreamType",
    "Weather",
    "WebSearch",
]


class OrchestratorSettings(Section):
    """What a person may set about the orchestrator."""

    logging: Logging = Logging()
    """Log output."""
    server: Server = Server()
    """The port and its processes."""
    timeouts: Timeouts = Timeouts()
    """Time limits of a request's phases."""
    limits: Limits = Limits()
    """Bounds on requests."""
    upstreams: list[Upstream] = Field(default=[], max_length=64)
    """Engines; in an LLMService those beside its own."""
    models: list[ModelSettings] = Field(default=[], max_length=256)
    """Aliases, defaults and fallbacks of models."""
    routing: Routing = Routing()
    """How requests are spread over replicas, and what happens when one fails."""
    hold: Hold = Hold()
    """Requests that wait for their engine."""
    tenants: list[Tenant] = Field(default=[], max_length=1024)
    """Tenants whose part of the engines differs from others'."""
    tools: Tools = Tools()
    """Server-side tools."""
    keys: Keys = Keys()
    """API keys."""
    oidc: Oidc = Oidc()
    """Callers with tokens of an issuer, beside those with keys."""
    rate_limits: RateLimits = RateLimits()
    """Limits that are not written at a key itself."""
    database: Database = Database()
    """Where keys and budgets are kept."""
    redis: Redis = Redis()
    """Lets limits hold across replicas."""
    responses: Responses = Responses()
    """What is kept of responses and conversations."""
    batches: Batches = Batches()
    """Requests in files, made in the background."""
    moderations: Moderations = Moderations()
    """How texts are judged at /v1/moderations."""
    guardrails: list[Guardrail] = Field(default=[], max_length=64)
    """What is looked for in all that goes into models and comes out of them."""
    tasks: list[Task] = Field(default=[], max_length=256)
    """What models are asked again and again, declared instead of programmed."""
    tasks_from: list[TaskFile] = Field(default=[], max_length=64)
    """Further tasks, outside the configuration."""
    tracing: Tracing = Tracing()
    """OpenTelemetry traces."""
    drain_seconds: Seconds = 120.0
    """How long open requests may go on after SIGTERM; the pod's grace period follows it."""


class OrchestratorConfig(OrchestratorSettings):
    """The whole configuration file."""

    upstreams: list[Upstream] = Field(min_length=1, max_length=64)
    """Engines behind this orchestrator; the first one's model is the default."""
    files: Files = Files()
    """Where uploaded files are kept; in an LLMService under spec.orchestrator.files."""
    retrieval: Retrieval = Retrieval()
    """Vector stores, and how documents become searchable; in an LLMService under spec.orchestrator.retrieval."""
    standalone: Standalone = Standalone()
    """Where the API listens without Kubernetes."""


NEEDS_RESTART: Final = ("database", "redis", "tracing", "server.workers", "server.metricsPort", "server.tls")
"""Settings that a process reads only when it starts; the others are taken up when the file changes."""
