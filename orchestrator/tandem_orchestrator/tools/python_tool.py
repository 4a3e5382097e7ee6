"""Tools from installed Python packages: entry points of the group `tandem.tools`."""

from importlib.metadata import entry_points
from typing import Final

from tandem_contract.config import PythonTool

from tandem_orchestrator.tools.source import SourceError
from tandem_orchestrator.tools.tool import Tool

GROUP: Final = "tandem.tools"
PARTS: Final = ("name", "description", "parameters", "call")


def load(settings: PythonTool) -> Tool:
    """Return the tool that the entry point's factory makes of its settings. Raises `SourceError`."""
    found = [point for point in entry_points(group=GROUP) if point.name == settings.name]
    if not found:
        there = ", ".join(sorted(point.name for point in entry_points(group=GROUP))) or "none"
        raise SourceError(
            f"the image does not have it: no installed package has an entry point {settings.name!r} in {GROUP} "
            f"(there are: {there}); use an image with the package, or correct the name"
        )
    try:
        tool: Tool = found[0].load()(settings.settings)
    except (Exception, SystemExit) as error:
        raise SourceError(f"{found[0].value} failed: {type(error).__name__}: {error}") from error
    if missing := [part for part in PARTS if not hasattr(tool, part)]:
        raise SourceError(f"{found[0].value} gives {type(tool).__name__}, which has no {', '.join(missing)}")
    return tool
