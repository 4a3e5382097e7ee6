"""Puts the tools together that the configuration names."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tandem_contract.config import BuiltinTool, McpServer, PythonTool, SecretFile
from tandem_contract.config import HttpTool as HttpToolSettings
from tandem_contract.config import OpenApi as OpenApiSettings
from tandem_contract.config import Tools as ToolSettings
from tandem_contract.config import Weather as WeatherSettings
from tandem_contract.config import WebSearch as WebSearchSettings

from tandem_orchestrator.config import ConfigError
from tandem_orchestrator.secret_file import SecretError, read_secret
from tandem_orchestrator.tools.calculator import Calculator
from tandem_orchestrator.tools.headers import ToolHeaders
from tandem_orchestrator.tools.http_tool import HttpTool, Service, Template
from tandem_orchestrator.tools.openapi import DocumentError, read_document, server_of, tools_of
from tandem_orchestrator.tools.openapi_source import OpenApiSource
from tandem_orchestrator.tools.outbound import Http
from tandem_orchestrator.tools.python_tool import PluginError, load
from tandem_orchestrator.tools.query_database import DatabaseSource
from tandem_orchestrator.tools.source import Source, SourceError
from tandem_orchestrator.tools.tool import Function, Tool
from tandem_orchestrator.tools.toolbox import InvalidTool, Toolbox
from tandem_orchestrator.tools.weather import Weather
from tandem_orchestrator.tools.web_search import WebSearch

UNUSABLE = (DocumentError, InvalidTool, PluginError, SecretError, SourceError)


def build(settings: ToolSettings) -> Toolbox:
    """The toolbox, whose `watch` has still to run; opens no connection. Raises `ConfigError` with all problems."""
    problems: list[str] = []
    sources: list[Source] = []
    for path, make_source in _sources(settings):
        try:
            sources.append(make_source())
        except UNUSABLE as error:
            problems.append(f"{path}: {error}")
    toolbox = Toolbox((), settings, sources)
    for path, make in _tools(settings):
        try:
            for tool in make():
                toolbox.add(tool)
        except UNUSABLE as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise ConfigError(problems)
    return toolbox


def _tools(settings: ToolSettings) -> Iterator[tuple[str, Callable[[], Sequence[Tool]]]]:
    """What makes the tools of this process, with its place in the configuration."""
    builtin: dict[BuiltinTool, Callable[[], Sequence[Tool]]] = {
        BuiltinTool.WEATHER: partial(_weather, settings.weather),
        BuiltinTool.MATH: lambda: [Calculator()],
    }
    for number, name in enumerate(dict.fromkeys(settings.enabled)):
        yield f"tools.enabled.{number}", builtin[name]
    if settings.web_search is not None:
        yield "tools.webSearch", partial(_web_search, settings.web_search)
    for number, described in enumerate(settings.http):
        yield f"tools.http.{number}", partial(_http_tool, described)
    for number, api in enumerate(settings.openapi):
        if api.document is not None:
            yield f"tools.openapi.{number}", partial(_operations, api, api.document)
    for number, plugin in enumerate(settings.python):
        yield f"tools.python.{number}", partial(_python, plugin)


def _sources(settings: ToolSettings) -> Iterator[tuple[str, Callable[[], Source]]]:
    """What makes the sources of further tools, with its place in the configuration."""
    if settings.query_database is not None:
        yield "tools.queryDatabase", partial(DatabaseSource, settings.query_database)
    for number, api in enumerate(settings.openapi):
        if api.url is not None:
            yield f"tools.openapi.{number}", partial(OpenApiSource, api)
    for number, server in enumerate(settings.mcp):
        yield f"tools.mcp.{number}", partial(_mcp, server)


def _weather(settings: WeatherSettings) -> Sequence[Tool]:
    return [Weather(settings, Http([settings.geocoding_url, settings.forecast_url]))]


def _web_search(settings: WebSearchSettings) -> Sequence[Tool]:
    return [WebSearch(settings)]


def _python(settings: PythonTool) -> Sequence[Tool]:
    return [load(settings)]


def _http_tool(settings: HttpToolSettings) -> Sequence[Tool]:
    parameters = {"type": "object", "properties": {}, **settings.parameters}
    function = Function(settings.name, settings.description, parameters)
    service = Service(Http([settings.url.partition("{")[0]]), ToolHeaders({}, settings.secret_headers))
    return [HttpTool(function, Template(settings), service, settings.result_pointer)]


def _operations(settings: OpenApiSettings, file: SecretFile) -> Sequence[Tool]:
    document = read_document(read_secret(file).encode())
    headers = ToolHeaders(settings.headers, settings.secret_headers)
    return tools_of(document, settings, Service(Http([server_of(document, settings)]), headers))


def _mcp(settings: McpServer) -> Source:
    from tandem_orchestrator.tools.mcp import McpSource  # noqa: PLC0415 # costs a second and much memory

    return McpSource(settings)
