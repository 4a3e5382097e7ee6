"""Any server that speaks OpenAI's API and about which no more is known."""

from tandem_orchestrator.engines.types.engine_type import EngineType


class OpenAI(EngineType):
    """Nothing beyond OpenAI's API."""
