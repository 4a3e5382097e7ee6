"""What is known about each type of engine beyond OpenAI's API: a class a file, entered in `ENGINE_TYPES`."""

from typing import Final

from tandem_contract.config import UpstreamType

from tandem_orchestrator.engines.types.engine_type import EngineType
from tandem_orchestrator.engines.types.openai import OpenAI
from tandem_orchestrator.engines.types.vllm import Vllm

__all__ = ["ENGINE_TYPES", "EngineType"]

ENGINE_TYPES: Final[dict[UpstreamType, EngineType]] = {UpstreamType.VLLM: Vllm(), UpstreamType.OPENAI: OpenAI()}
