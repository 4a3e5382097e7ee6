"""The configuration: a YAML file, over it the older names of variables, over those `TANDEM_…`."""

from tandem_orchestrator.config.errors import ConfigError
from tandem_orchestrator.config.reading import Source, load
from tandem_orchestrator.config.variables import unknown_variables

__all__ = ["ConfigError", "Source", "load", "unknown_variables"]
