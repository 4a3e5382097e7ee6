"""Puts the tools together that the configuration names."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from tandem_contract.config import BuiltinTool, McpServer, PythonTool, SecretFile
from tandem_contract.config import HttpTool as HttpToolSettings
from tandem_contract.config import OpenApi as OpenApiSettings
from tandem_contract.config import Tools as ToolSettings
from tandem_contract.config import Weather as WeatherSettings
from tandem_contract.config import WebSearch as WebSearchSettings

from tandem_orchestrator.config import ConfigError
from tandem_orchestrator.config.secrets import unreadable_secrets
from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.headers import ToolHeaders
from tandem_orchestrator.tools.http_tool import HttpTool, Service, Template
from tandem_orchestrator.tools.local_source import LocalSource
from tandem_orchestrator.tools.openapi import DocumentError, read_document, server_of, tools_of
from tandem_orchestrator.tools.openapi_source import OpenApiSource
from tandem_orchestrator.tools.outbound import Http
from tandem_orchestrator.tools.python_tool import load
from tandem_orchestrator.tools.query_database import DatabaseSource, database_url
from tandem_orchestrator.tools.source import SourceError, ToolSource
from tandem_orchestrator.tools.tool import Function, Tool
from tandem_orchestrator.tools.toolbox import InvalidTool, Toolbox
from tandem_orchestrator.tools.weather import Weather
from tandem_orchestrator.tools.web_search import WebSearch

Maker = Callable[[], Sequence[Tool]]


def build(settings: ToolSettings) -> Toolbox:
    """Return the toolbox, whose `watch` has still to run; opens no connection.

    Raises `ConfigError` with all that is wrong with the settings themselves. What is wrong with what they name, such
    as a package that is not installed, keeps the tools concerned away, and `Toolbox.degraded` lists it.
    """
    local = [LocalSource(name, path, make, file) for path, name, make, file in _local(settings)]
    toolbox = Toolbox((), settings, [*local, *_sources(settings)])
    if problems := _add_all(toolbox, _tools(settings)):
        raise ConfigError(problems)
    return toolbox


def check(settings: ToolSettings) -> None:
    """Raise `ConfigError` with all that `build` finds wrong, and all that would keep tools away on this machine."""
    problems = unreadable_secrets(settings, "tools")
    try:
        if settings.query_database is not None:
            database_url(settings.query_database)
    except SourceError as error:
        problems.append(f"tools.queryDatabase: {error}")
    except SecretError:
        pass  # among the problems already, as below
    toolbox = Toolbox((), settings)
    problems += _add_all(toolbox, _tools(settings))
    problems += _add_all(toolbox, ((path, make) for path, _, make, _ in _local(settings)))
    if problems:
        raise ConfigError(problems)


def _add_all(toolbox: Toolbox, makers: Iterable[tuple[str, Maker]]) -> list[str]:
    """Add what can be made; return a line for each that cannot, with its path in the configuration."""
    problems = []
    for path, make in makers:
        try:
            toolbox.add(make())
        except (InvalidTool, SourceError) as error:
            problems.append(f"{path}: {error}")
        except SecretError:
            continue  # `unreadable_secrets` names it, under the secret's own path
    return problems


def _tools(settings: ToolSettings) -> Iterator[tuple[str, Maker]]:
    """Yield what makes the tools that need nothing but their settings, with its path in the configuration."""
    builtin: dict[BuiltinTool, Maker] = {
        BuiltinTool.WEATHER: partial(_weather, settings.weather),
        BuiltinTool.MATH: lambda: [Calculator()],
    }
    for number, name in enumerate(dict.fromkeys(settings.enabled)):
        yield f"tools.enabled.{number}", builtin[name]
    if settings.web_search is not None:
        yield "tools.webSearch", partial(_web_search, settings.web_search)
    for number, described in enumerate(settings.http):
        yield f"tools.http.{number}", partial(_http_tool, described)


def _local(settings: ToolSettings) -> Iterator[tuple[str, str, Maker, SecretFile | None]]:
    """Yield what makes the tools that need something of this machine: path, name, maker, and the file it reads."""
    for number, api in enumerate(settings.openapi):
        if api.document is not None:
            make = partial(_operations, api, api.document)
            yield f"tools.openapi.{number}", f"openapi {api.name}", make, api.document
    for number, plugin in enumerate(settings.python):
        yield f"tools.python.{number}", f"python {plugin.name}", partial(_python, plugin), None


def _sources(settings: ToolSettings) -> Iterator[ToolSource]:
    """Yield where further tools come from."""
    if settings.query_database is not None:
        yield DatabaseSource(settings.query_database)
    yield from (OpenApiSource(api) for api in settings.openapi if api.url is not None)
    yield from map(_mcp, settings.mcp)


def _weather(settings: WeatherSettings) -> Sequence[Tool]:
    return [Weather(settings, Http([settings.geocoding_url, settings.forecast_url]))]


def _web_search(settings: WebSearchSettings) -> Sequence[Tool]:
    return [WebSearch(settings)]


def _python(settings: PythonTool) -> Sequence[Tool]:
    return [load(settings)]


def _http_tool(settings: HttpToolSettings) -> Sequence[Tool]:
    parameters = {"type": "object", "properties": {}, "additionalProperties": False, **settings.parameters}
    function = Function(settings.name, settings.description, parameters)
    service = Service(Http([settings.url.partition("{")[0]]), ToolHeaders({}, settings.secret_headers))
    return [HttpTool(function, Template(settings), service, settings.result_pointer)]


def _operations(settings: OpenApiSettings, file: SecretFile) -> Sequence[Tool]:
    headers = ToolHeaders(settings.headers, settings.secret_headers)
    try:
        document = read_document(read_secret(file).encode())
        return tools_of(document, settings, Service(Http([server_of(document, settings)]), headers))
    except DocumentError as error:
        raise SourceError(f"the document in {file.file} {error}") from None
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # whatever stands where it does not belong
        raise SourceError(f"the document in {file.file} does not follow OpenAPI: {error!r}") from error


def _mcp(settings: McpServer) -> ToolSource:
    from tandem_orchestrator.tools.mcp import McpSource  # noqa: PLC0415 # costs a second and much memory

    return McpSource(settings)
