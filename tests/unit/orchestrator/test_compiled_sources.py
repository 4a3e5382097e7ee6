"""What mypyc 2.4 gets wrong: an exception that is raised again after its handler, a `finally` or the end of an
`async with` was suspended is lost by then, and a TypeError takes its place.
"""

import ast
import tomllib
from pathlib import Path

import pytest

ORCHESTRATOR = Path(__file__).parents[3] / "orchestrator"
PROJECT = tomllib.loads((ORCHESTRATOR / "pyproject.toml").read_text())
SOURCES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["mypyc"]["include"]
HARMLESS = ("asyncio.timeout(", "asyncio.TaskGroup(", "self._turn", "self._writing")
"""Their ends suspend nobody, or raise by themselves."""


def suspends(nodes):
    kinds = (ast.Await, ast.AsyncWith, ast.AsyncFor)
    return any(isinstance(inner, kinds) for node in nodes for inner in ast.walk(node))


def raises_again_after_an_await(handler):
    """Whether a bare `raise` stands behind something that suspends."""
    at = [node.lineno for node in ast.walk(handler) if isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor)]
    again = [node.lineno for node in ast.walk(handler) if isinstance(node, ast.Raise) and node.exc is None]
    return bool(at) and max(again, default=0) > min(at)


def losing(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                if not ast.unparse(item.context_expr).startswith(HARMLESS):
                    yield node.lineno, "async with"
        elif isinstance(node, ast.Try):
            if suspends(node.finalbody):
                yield node.finalbody[0].lineno, "await in finally"
            yield from (
                (handler.lineno, "raise after an await")
                for handler in node.handlers
                if raises_again_after_an_await(handler)
            )


@pytest.mark.parametrize("source", SOURCES)
def test_no_compiled_source_loses_an_exception(source):
    assert list(losing(ast.parse((ORCHESTRATOR / source).read_text()))) == []


def test_what_would_be_found():
    text = (ORCHESTRATOR / "tandem_orchestrator/store/postgresql_pool.py").read_text()
    assert {what for _, what in losing(ast.parse(text))} == {"async with", "await in finally"}
    lost = "async def f():\n try:\n  await a()\n except E:\n  await b()\n  raise\n finally:\n  await c()"
    assert [what for _, what in losing(ast.parse(lost))] == ["await in finally", "raise after an await"]
