"""A tool that is one HTTP request, however that is made out of the arguments."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import orjson
from tandem_contract.config import HttpMethod
from tandem_contract.config import HttpTool as HttpToolSettings
from tandem_contract.config.tools import ARGUMENT

from tandem_orchestrator.tools.headers import ToolHeaders
from tandem_orchestrator.tools.outbound import MAX_REDIRECTS, Answer, Http, HttpRequest, OutboundError
from tandem_orchestrator.tools.tool import Function, ToolError

JSON: Final = "application/json"
ERRORS: Final = 400
SHOWN_ERROR: Final = 1000  # characters of a service's own words about an error
IN_QUERY: Final = frozenset({HttpMethod.GET, HttpMethod.DELETE})
_LEFT_OUT: Final[Any] = object()
_SLASH: Final = re.compile(r"[/\\]")


class Service:
    """A server that tools ask, with the headers that it wants in each request; nothing else sets these."""

    def __init__(self, http: Http, headers: ToolHeaders) -> None:
        self._http = http
        self._headers = headers

    async def ask(self, request: HttpRequest) -> Answer:
        """Return the answer to a request. Raises `ToolError`."""
        follows = request.method == HttpMethod.GET and not self._headers.are_secret
        headers = {"accept": JSON, **request.headers, **self._headers.for_call()}
        try:
            return await self._http.fetch(replace(request, headers=headers), redirects=MAX_REDIRECTS if follows else 0)
        except OutboundError as error:
            raise ToolError(f"the service {error}") from None

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close()


class HttpTool:
    """Sends what `plan` makes of the arguments; the result is the answer's text, or the part of it at `pointer`."""

    def __init__(
        self,
        function: Function,
        plan: Callable[[dict[str, Any]], HttpRequest],
        service: Service,
        pointer: str | None = None,
    ) -> None:
        self.name = function.name
        self.description = function.description
        self.parameters = function.parameters
        self._plan = plan
        self._service = service
        self._pointer = pointer

    async def call(self, arguments: dict[str, Any]) -> str:
        """Send the request that `plan` makes of the arguments."""
        return _result(await self._service.ask(self._plan(arguments)), self._pointer)

    async def close(self) -> None:
        """Close the connections, which other tools of the same service share."""
        await self._service.close()


class Template:
    """Makes the request that a configuration describes; no argument replaces what the configuration sets."""

    def __init__(self, settings: HttpToolSettings) -> None:
        self._settings = settings
        in_url = {name for name, _ in parse_qsl(urlsplit(settings.url).query, keep_blank_values=True)}
        set_here = {*settings.query, *in_url} if settings.method in IN_QUERY else {*(settings.body or ())}
        self._taken = settings.mentioned | set_here

    def __call__(self, arguments: dict[str, Any]) -> HttpRequest:
        """Return the request. Raises `ToolError`."""
        settings = self._settings
        rest = {name: value for name, value in arguments.items() if name not in self._taken}
        query = _filled(settings.query, arguments)
        body = _filled(settings.body, arguments)
        if settings.method in IN_QUERY:
            query |= rest
        elif body is None or rest:
            body = {**(body or {}), **rest}
        headers = {name.lower(): header_text(value) for name, value in _filled(settings.headers, arguments).items()}
        if body is not None:
            headers.setdefault("content-type", JSON)
        return HttpRequest(
            settings.method,
            with_query(fill_url(settings.url, arguments), query),
            headers,
            None if body is None else orjson.dumps(body),
        )


def fill_url(template: str, arguments: Mapping[str, Any]) -> str:
    """Return the URL with its arguments, encoded so that each stays within its part. Raises `ToolError`."""

    def fill(found: re.Match[str]) -> str:
        if arguments.get(found[1]) in (None, ""):
            raise ToolError(f"the argument {found[1]!r} must be given")
        return quote(text_of(arguments[found[1]]), safe="")

    path, mark, query = (ARGUMENT.sub(fill, part) for part in template.partition("?"))
    # As servers see it that decode slashes before they follow dots, some of them twice.
    if any(segment in (".", "..") for segment in _SLASH.split(unquote(unquote(path)))):
        raise ToolError("an argument must not be a path")
    return path + mark + query


def with_query(url: str, query: Mapping[str, Any]) -> str:
    """Return `url` with further query parameters; a list repeats its parameter, null leaves it out."""
    pairs = [
        (name, text_of(item))
        for name, value in query.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]
    return f"{url}{'&' if '?' in url else '?'}{urlencode(pairs, quote_via=quote)}" if pairs else url


def header_text(value: Any) -> str:
    """Return `value` as a header carries it. Raises `ToolError`."""
    text = text_of(value)
    if not (text.isascii() and text.isprintable()):
        raise ToolError("an argument that goes into a header has characters that no header may have")
    return text


def text_of(value: Any) -> str:
    """Return a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _filled(template: Any, arguments: Mapping[str, Any]) -> Any:
    if isinstance(template, str):
        if whole := ARGUMENT.fullmatch(template):
            return arguments.get(whole[1], _LEFT_OUT)
        missing = [name for name in ARGUMENT.findall(template) if name not in arguments]
        return _LEFT_OUT if missing else ARGUMENT.sub(lambda found: text_of(arguments[found[1]]), template)
    if isinstance(template, list):
        return [value for item in template if (value := _filled(item, arguments)) is not _LEFT_OUT]
    if isinstance(template, dict):
        filled = {name: _filled(item, arguments) for name, item in template.items()}
        return {name: value for name, value in filled.items() if value is not _LEFT_OUT}
    return template


def _result(answer: Answer, pointer: str | None) -> str:
    text = _text(answer)
    if answer.status >= ERRORS or answer.status // 100 == 3:  # noqa: PLR2004 # a redirect that is not followed
        reason = f": {text[:SHOWN_ERROR]}" if text else ""
        raise ToolError(f"the service answered {answer.status}{reason}")
    if pointer is None:
        return text or "done"
    try:
        return text_of(_at(answer.json(), pointer))
    except OutboundError as error:
        raise ToolError(f"the service {error}") from None
    except (LookupError, ValueError):
        raise ToolError(f"the service's answer has no {pointer}") from None


def _text(answer: Answer) -> str:
    try:
        return answer.body.decode()
    except UnicodeDecodeError:
        raise ToolError(f"the service answered {answer.status} with {answer.kind}, which is no text") from None


def _at(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) points at. Raises `LookupError` or `ValueError`."""
    for part in pointer[1:].split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            document = document[int(name)]
        elif isinstance(document, dict):
            document = document[name]
        else:
            raise KeyError(name)
    return document
