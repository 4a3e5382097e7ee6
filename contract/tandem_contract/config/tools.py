"""`tools`: what the orchestrator runs for a model."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from tandem_contract.config.base import HttpUrl, JsonObject, Name, Seconds, SecretFile, Section

ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$", max_length=64)]
Prefix = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z][a-zA-Z0-9_-]{0,31}$", max_length=32)]
Description = Annotated[str, StringConstraints(min_length=1, max_length=16_384)]
ARGUMENT: Final = re.compile(r"\{([^{}\s]+)\}")
"""How the texts of an HTTP tool name an argument."""
DATABASES: Final = ("postgresql://", "postgres://", "sqlite:///")
"""How the URL of a database begins that `query_database` can ask."""
HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
HeaderName = Annotated[str, StringConstraints(pattern=rf"^{HEADER_NAME.pattern}$", max_length=128)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]*$", max_length=4096)]
Template = Annotated[str, StringConstraints(max_length=4096)]
UrlTemplate = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/@{}]+(/\S*)?$", max_length=2048)]
JsonPointer = Annotated[str, StringConstraints(pattern=r"^(/[^/]*)+$", max_length=512)]


def _header_names(headers: dict[str, str]) -> dict[str, str]:
    # Not a pattern of the keys: that would be patternProperties, which Kubernetes does not take.
    if wrong := [name for name in headers if not HEADER_NAME.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} is no name of a header")
    return headers


def _arguments(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield from ARGUMENT.findall(template)
    elif isinstance(template, list | dict):
        for item in template.values() if isinstance(template, dict) else template:
            yield from _arguments(item)


Headers = Annotated[dict[str, HeaderValue], AfterValidator(_header_names)]


class BuiltinTool(StrEnum):
    """Tools that the orchestrator brings along."""

    WEATHER = "get_current_weather"
    MATH = "calculate_math"


class Attach(StrEnum):
    """When server-side tools are offered to the model."""

    DECLARED = "declared"
    ALWAYS = "always"


class SearchProvider(StrEnum):
    """Whose search `web_search` uses."""

    SEARXNG = "searxng"
    TAVILY = "tavily"
    BRAVE = "brave"


class HttpMethod(StrEnum):
    """Method of an HTTP tool."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class Weather(Section):
    """Where `get_current_weather` asks; the service must speak Open-Meteo's API."""

    geocoding_url: HttpUrl = "https://geocoding-api.open-meteo.com/v1/search"
    """Finds a place by its name."""
    forecast_url: HttpUrl = "https://api.open-meteo.com/v1/forecast"
    """Tells the current weather at a latitude and longitude."""


class QueryDatabase(Section):
    """`query_database`: read-only SQL. The role must not be able to write, else the tool is refused."""

    url: SecretStr | None = None
    """`postgresql://user:password@host/name` or `sqlite:///path`."""
    url_from: SecretFile | None = None
    """The URL as a secret; wins over url."""
    description: Description | None = None
    """What the model is told about the data, e.g. the tables and what their columns mean."""
    describe_tables: bool = True
    """Tell the model the names and types of the columns that the role may read."""
    schemas: list[Name] = Field(default=[], max_length=64)
    """Schemas of PostgreSQL, in the order in which tables are looked for. The tool is refused while the role may read
    others. Default: all that the role may use."""
    max_rows: int = Field(default=200, ge=1, le=10_000)
    """Further rows are left out, and the result says so."""
    max_bytes: int = Field(default=32_768, ge=256, le=4_194_304)
    """Rows beyond so many bytes of JSON are left out, and the result says so."""
    timeout_seconds: Seconds = 5.0
    """Time for one query."""
    max_connections: int = Field(default=4, ge=1, le=64)
    """Queries at the same time, in each process; more wait for their turn. Each takes a process and a connection."""

    @model_validator(mode="after")
    def _has_a_url(self) -> Self:
        if self.url is None and self.url_from is None:
            raise ValueError("set url or urlFrom")
        if self.url is not None and not self.url.get_secret_value().startswith(DATABASES):
            raise ValueError("url must begin with postgresql:// or sqlite:///")
        return self


class WebSearch(Section):
    """`web_search`: the web, by one of three providers."""

    provider: SearchProvider
    """searxng (your own server), tavily or brave (with a key of theirs)."""
    url: HttpUrl | None = None
    """Base URL. Default: the provider's own; SearXNG has none."""
    api_key: SecretFile | None = None
    """Key of Tavily or Brave."""
    max_results: int = Field(default=5, ge=1, le=20)
    """Most results of one search."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.provider is SearchProvider.SEARXNG and self.url is None:
            raise ValueError("set url to your SearXNG server")
        if self.provider is not SearchProvider.SEARXNG and self.api_key is None:
            raise ValueError(f"set apiKey: {self.provider} asks for one")
        return self


class Header(Section):
    """A request header whose value is nobody's business."""

    name: HeaderName
    """The header, e.g. Authorization."""
    prefix: HeaderValue = ""
    """Goes in front of the secret, e.g. "Bearer " with its space."""
    value: SecretFile
    """The secret."""


class HttpTool(Section):
    """A tool that is one HTTP request.

    `{argument}` in url, query, headers and body stands for an argument. Arguments that none of them mentions go into
    the query of a GET or DELETE, and into the JSON body of the other methods, and replace nothing that is set there.
    """

    name: ToolName
    """The tool's name."""
    description: Description
    """What it does and when to use it, for the model."""
    parameters: JsonObject = Field(default={}, max_length=64)
    """JSON schema of the arguments, an object; others are refused unless additionalProperties is set. Default: none."""
    method: HttpMethod = HttpMethod.GET
    """The request's method."""
    url: UrlTemplate
    """The request's URL; arguments in it are URL-encoded and cannot change the host."""
    query: dict[str, Template] = Field(default={}, max_length=64)
    """Query parameters; one whose argument is left out is left out too."""
    headers: Headers = Field(default={}, max_length=64)
    """Headers that are no secret."""
    secret_headers: list[Header] = Field(default=[], max_length=16)
    """Headers with secrets. A request that carries any follows no redirect."""
    body: JsonObject | None = Field(default=None, max_length=256)
    """JSON body; a value that is just `{argument}` keeps the argument's type."""
    result_pointer: JsonPointer | None = None
    """JSON pointer to the part of the answer that the model gets, e.g. /data/items. Default: all of it."""

    @property
    def mentioned(self) -> frozenset[str]:
        """Arguments that url, query, headers and body name."""
        return frozenset(ARGUMENT.findall(self.url)).union(*map(_arguments, (self.query, self.headers, self.body)))

    @model_validator(mode="after")
    def _names_its_arguments(self) -> Self:
        if self.parameters.get("type", "object") != "object":
            raise ValueError('parameters must be a JSON schema with "type": "object"')
        properties, required = self.parameters.get("properties", {}), self.parameters.get("required", [])
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise ValueError(  # noqa: TRY004 # pydantic makes a report of this one
                "parameters must be a JSON schema: properties an object, required a list of names"
            )
        if unknown := self.mentioned - set(properties):
            raise ValueError(f"parameters do not declare {', '.join(sorted(unknown))}, which {self.name} uses")
        if optional := [name for name in ARGUMENT.findall(self.url) if name not in required]:
            raise ValueError(f"parameters must require {', '.join(optional)}, which stands in the url")
        return self


class OpenApi(Section):
    """Every operation of an OpenAPI 3 document as a tool."""

    name: Prefix
    """Tools are called by it and their operationId, e.g. orders_getOrder."""
    document: SecretFile | None = None
    """The document as a file, or in an LLMService as a key of a Secret; read again when it changes."""
    url: HttpUrl | None = None
    """Where the document is fetched from, at the start and every hour."""
    base_url: HttpUrl | None = None
    """Where requests go. Default: the document's first server."""
    include: list[Name] = Field(default=[], max_length=512)
    """operationIds to offer. Default: all."""
    exclude: list[Name] = Field(default=[], max_length=512)
    """operationIds to leave out."""
    headers: Headers = Field(default={}, max_length=64)
    """Headers that are no secret."""
    secret_headers: list[Header] = Field(default=[], max_length=16)
    """Headers with secrets. A request that carries any follows no redirect."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.document is None) == (self.url is None):
            raise ValueError("set either document or url")
        if self.url is not None and self.secret_headers and self.base_url is None:
            raise ValueError("set baseUrl: a fetched document must not choose who gets the secret headers")
        return self


class McpServer(Section):
    """The tools of an MCP server over streamable HTTP. They are absent while it is down."""

    name: Prefix
    """Tools are called by it and their own name, e.g. files_search."""
    url: HttpUrl
    """The server's endpoint, e.g. https://mcp.example.com/mcp."""
    include: list[Name] = Field(default=[], max_length=512)
    """The server's own names of the tools to offer. Default: all."""
    headers: Headers = Field(default={}, max_length=64)
    """Headers that are no secret."""
    secret_headers: list[Header] = Field(default=[], max_length=16)
    """Headers with secrets."""
    refresh_seconds: Seconds = Field(default=60.0, ge=1)
    """How often its tools are listed anew, beside when it says that they changed."""


class PythonTool(Section):
    """A tool from an installed Python package: an entry point of the group `tandem.tools`."""

    name: Name
    """The entry point's name."""
    settings: JsonObject = Field(default={}, max_length=64)
    """What its factory is called with."""


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
    max_concurrent: int = Field(default=32, ge=1, le=1024)
    """Calls of one tool at the same time, in each process; more wait for their turn within their time."""
    timeout_seconds: Seconds = 10.0
    """Time for one tool call."""
    total_seconds: Seconds = 60.0
    """Time for all tools of one request; then the model has to answer with what it has."""
    max_result_bytes: int = Field(default=65_536, ge=256, le=4_194_304)
    """A longer result is cut there, and says so; of what a search found, the text of all its passages."""
    after_retrieval: list[str] = Field(default=["calculate_math", "get_current_weather"], max_length=256)
    """Tools that a model may call once it has read text that file_search or web_search found, which may want to misuse
    them; searches and tools of the client always, and what a person has allowed. `*` stands for all."""
    weather: Weather = Weather()
    """Settings of `get_current_weather`."""
    query_database: QueryDatabase | None = None
    """Adds `query_database`."""
    web_search: WebSearch | None = None
    """Adds `web_search`."""
    http: list[HttpTool] = Field(default=[], max_length=128)
    """Tools that are one HTTP request each."""
    openapi: list[OpenApi] = Field(default=[], max_length=32)
    """Services whose operations become tools."""
    mcp: list[McpServer] = Field(default=[], max_length=32)
    """MCP servers whose tools are offered."""
    python: list[PythonTool] = Field(default=[], max_length=64)
    """Tools from installed Python packages."""
