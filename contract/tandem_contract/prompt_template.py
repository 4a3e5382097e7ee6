"""Prompts written in Jinja, of which neither who writes them nor what is put into them may do more than make a text.

A template is parsed once; what is checked is that very tree, and it is what is rendered. Values are JSON: a dot or a
bracket reads a property of an object or an entry of a list, and never anything of Python. What takes time in
proportion to values is charged to a budget, and the text is measured while it is made.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from math import isfinite
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, cast

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tandem_contract import prompt_filters
from tandem_contract.prompt_filters import BUDGET, OFFERED, TESTS, Budget, Unusable, kind

MOST_CHARACTERS: Final = 65_536
"""Of a template."""
MOST_TOKENS: Final = 2048
"""Of a template: words and signs between braces, and the texts between those."""
DEEPEST: Final = 20
"""Levels: Python, to which Jinja compiles a template, has no more than that of loops."""
LONGEST: Final = 262_144
"""Characters of a prompt."""

_OF_LOOPS: Final = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_JINJAS_OWN: Final = frozenset({"self", "super", "caller", "varargs", "kwargs"})
_ARITHMETIC: Final = (nodes.BinExpr, nodes.UnaryExpr)
_CALLED: Final = {
    nodes.Call: "a call",
    nodes.Concat: "`~`",
    nodes.Dict: "an object in braces",
    nodes.Assign: "`set`",
    nodes.AssignBlock: "`set`",
    nodes.FilterBlock: "a filter block",
    nodes.CallBlock: "`call`",
    nodes.FromImport: "`from`",
}
_SIGNATURES: Final = {name: inspect.signature(function) for name, function in OFFERED.items()}


class PromptError(Exception):
    """A prompt that cannot be made of these values; the message says why."""


class _Bounds(Extension):
    """Ends the parsing of a template that has too much in it."""

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        for count, token in enumerate(stream):
            if count >= MOST_TOKENS:
                raise TemplateSyntaxError(f"it has more than {MOST_TOKENS} words and signs", token.lineno)
            yield token


class _Environment(ImmutableSandboxedEnvironment):
    """Reads nothing but JSON."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        match obj:
            case dict() if isinstance(argument, str) and argument in obj:
                return obj[argument]
            case list() if type(argument) is int and -len(obj) <= argument < len(obj):
                return obj[argument]
            case LoopContext():  # which has nothing but words of _OF_LOOPS behind it
                return getattr(obj, argument)
            case Undefined():
                return obj[argument]  # raises
        name = f"`{argument[:64]}`" if isinstance(argument, str) else "such entry"
        return self.undefined(f"there is no {name} in {kind(obj)}")


_JINJA: Final = _Environment(
    undefined=StrictUndefined,
    autoescape=False,  # it makes no HTML
    trim_blocks=True,
    lstrip_blocks=True,
    optimized=False,  # what is constant is bounded as well
    finalize=prompt_filters.written,
    extensions=[_Bounds],
)
_JINJA.globals.clear()
_JINJA.filters = dict(prompt_filters.FILTERS)
_JINJA.tests = dict(TESTS)


class Prompt:
    """A template that is known to be harmless."""

    def __init__(self, text: str) -> None:
        """Parse it. Raises `TemplateError`."""
        if len(text) > MOST_CHARACTERS:
            raise TemplateSyntaxError(f"it has more than {MOST_CHARACTERS} characters", 1)
        self._tree = _JINJA.parse(text)
        _check(self._tree)
        _charge(self._tree)

    @cached_property
    def variables(self) -> frozenset[str]:
        """Names that it looks for among the values."""
        return frozenset(find_undeclared_variables(self._tree))

    @cached_property
    def _template(self) -> Template:
        return _JINJA.template_class.from_code(_JINJA, _JINJA.compile(self._tree), {})

    def written(self, values: Mapping[str, Any]) -> str:
        """Return the prompt made of JSON values. Raises `PromptError`."""
        template = self._template
        pieces: list[str] = []
        length = 0
        try:
            for piece in template.root_render_func(template.new_context({**values, BUDGET: Budget()})):
                length += len(piece)
                if length > LONGEST:
                    raise Unusable(f"the prompt is longer than {LONGEST} characters")  # noqa: TRY301
                pieces.append(piece)
        except Exception as error:  # noqa: BLE001 # values that a template did not expect fail as they like
            raise PromptError(f"line {_line(template, error.__traceback__)}: {error}") from None
        return "".join(pieces)


@lru_cache(256)
def compiled(text: str) -> Prompt:
    """Return the template. Raises `ValueError`, which says in which line is what cannot be used."""
    try:
        return Prompt(text)
    except TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise ValueError(f"it is nested deeper than {DEEPEST} levels") from None
    except (TemplateError, ValueError) as error:  # such as a number with too many digits
        raise ValueError(f"is no template: {error}") from None


def _line(template: Template, traceback: TracebackType | None) -> int:
    """Return the template's line in which something was raised."""
    code = template.root_render_func.__code__
    lines = [line for frame, line in walk_tb(traceback) if frame.f_code.co_filename == code.co_filename]
    return template.get_corresponding_lineno(lines[-1]) if lines else 1


def _check(tree: nodes.Template) -> None:
    """Raise `TemplateSyntaxError` for what a prompt does not need."""
    level: list[nodes.Node] = [tree]
    for _ in range(DEEPEST):
        for node in level:
            if problem := _problem(node):
                raise TemplateSyntaxError(problem, node.lineno or 1)
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return
    raise TemplateSyntaxError(f"it is nested deeper than {DEEPEST} levels", level[0].lineno)


def _problem(node: nodes.Node) -> str | None:
    """Return what about a node alone cannot be used."""
    look = _LOOKED_AT.get(type(node))
    if look is None:
        named = _CALLED.get(type(node)) or f"`{type(node).__name__.lower()}`"
        return f"{'arithmetic' if isinstance(node, _ARITHMETIC) else named} cannot be used in a prompt"
    if _has_loop(node) and not isinstance(node, nodes.Getattr):
        return f"`loop` cannot be used alone, but as `loop.index`; it has {_listed(_OF_LOOPS)}"
    return look(node)


def _has_loop(node: nodes.Node) -> bool:
    return any(isinstance(child, nodes.Name) and child.name == "loop" for child in node.iter_child_nodes())


def _nothing(_: nodes.Node) -> None:
    """Have nothing against it."""


def _wrong_name(node: nodes.Name) -> str | None:
    reserved = node.name.startswith("_") or node.name in _JINJAS_OWN
    return f"the name `{node.name}` cannot be used in a prompt" if reserved else None


def _wrong_property(node: nodes.Getattr) -> str | None:
    if _has_loop(node) and node.attr not in _OF_LOOPS:
        return f"there is no `loop.{node.attr}`, but {_listed(_OF_LOOPS)}"
    return _hidden(node.attr)


def _wrong_item(node: nodes.Getitem) -> str | None:
    return _hidden(node.arg.value) if isinstance(node.arg, nodes.Const) else None


def _hidden(name: object) -> str | None:
    hidden = isinstance(name, str) and name.startswith("_")
    return f"`{name}` cannot be used in a prompt: it begins with `_`" if hidden else None


def _wrong_constant(node: nodes.Const) -> str | None:
    return "a number is too large" if isinstance(node.value, float) and not isfinite(node.value) else None


def _wrong_sign(node: nodes.Neg) -> str | None:
    return None if isinstance(node.node, nodes.Const) else "arithmetic cannot be used in a prompt"


def _wrong_loop(node: nodes.For) -> str | None:
    return "a recursive loop cannot be used in a prompt" if node.recursive else None


def _wrong_test(node: nodes.Test) -> str | None:
    if node.name in TESTS and not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs):
        return None
    return f"there is no test `{node.name}` here, but, without arguments, {_listed(TESTS)}"


def _wrong_filter(node: nodes.Filter) -> str | None:
    if node.name not in OFFERED:
        return f"there is no filter `{node.name}` here, but {_listed(OFFERED)}"
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return "`*` and `**` cannot be used in a prompt"
    try:
        _SIGNATURES[node.name].bind(None, node.node, *node.args, **{str(each.key): each for each in node.kwargs})
    except TypeError as error:
        return f"filter `{node.name}`: {error}"
    return None


_LOOKED_AT: Final[dict[type[nodes.Node], Callable[[Any], str | None]]] = {
    **dict.fromkeys((nodes.Template, nodes.Output, nodes.TemplateData, nodes.If), _nothing),
    **dict.fromkeys((nodes.List, nodes.Tuple, nodes.Slice, nodes.Keyword), _nothing),
    **dict.fromkeys((nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.CondExpr), _nothing),
    nodes.For: _wrong_loop,
    nodes.Name: _wrong_name,
    nodes.Const: _wrong_constant,
    nodes.Neg: _wrong_sign,
    nodes.Getattr: _wrong_property,
    nodes.Getitem: _wrong_item,
    nodes.Filter: _wrong_filter,
    nodes.Test: _wrong_test,
}
"""All that a prompt may be made of."""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _charge(tree: nodes.Template) -> None:
    """Have what takes time in proportion to a value pay for it first."""
    for loop in tree.find_all(nodes.For):
        loop.iter = _through(prompt_filters.LOOPED, loop.iter)
    for compare in tree.find_all(nodes.Compare):
        compare.expr = _through(prompt_filters.COMPARED, compare.expr)
        for operand in compare.ops:
            searched = operand.op in ("in", "notin")
            operand.expr = _through(prompt_filters.SEARCHED if searched else prompt_filters.COMPARED, operand.expr)
    for item in tree.find_all(nodes.Getitem):
        if isinstance(item.arg, nodes.Slice):
            item.node = _through(prompt_filters.SEARCHED, item.node)


def _through(name: str, value: nodes.Node) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", value), name, [], [], None, None, lineno=value.lineno)
