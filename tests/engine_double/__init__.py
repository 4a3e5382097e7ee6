"""A scripted engine that speaks vLLM's protocol, or another's, and fails in every way it is told to."""

from tests.engine_double.embedding import Embedding
from tests.engine_double.engine import EngineDouble
from tests.engine_double.reply import Call, Reply

__all__ = ["Call", "Embedding", "EngineDouble", "Reply"]
