"""`logging`: what is logged."""

from enum import StrEnum

from tandem_contract.config.base import Section


class LogLevel(StrEnum):
    """Least severe level that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class Logging(Section):
    """What is logged; a line is one JSON object."""

    level: LogLevel = LogLevel.INFO
    """Least severe level that is logged."""
    prompts: bool = False
    """Log request and answer bodies too. They may hold what people confide: leave it off in production."""
