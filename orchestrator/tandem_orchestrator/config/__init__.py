"""The configuration: a YAML file, over it variables with names of their own, over those `TANDEM_…`."""

from tandem_orchestrator.config.errors import ConfigError
from tandem_orchestrator.config.older_names import Found
from tandem_orchestrator.config.reading import Source, load
from tandem_orchestrator.config.variables import unknown_variables

__all__ = ["ConfigError", "Found", "Source", "load", "unknown_variables"]
