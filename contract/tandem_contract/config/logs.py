"""`logging`: what is logged."""

from enum import StrEnum

from tandem_contract.config.base import Section


class LogLevel(StrEnum):
    """Least severe level that is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(StrEnum):
    """How a line is written."""

    JSON = "json"
    TEXT = "text"


class Logging(Section):
    """What is logged, and how."""

    level: LogLevel = LogLevel.INFO
    """Least severe level that is logged."""
    format: LogFormat = LogFormat.JSON
    """json: a line is one JSON object; text: for people to read, in colours at a terminal."""
    prompts: bool = False
    """Log request and answer bodies too. They may hold what people confide: leave it off in production."""
