"""What is known about each type of engine beyond OpenAI's API: a class a file, entered in `ENGINE_TYPES`."""

from typing import Final

from tandem_contract.config import UpstreamType

from tandem_orchestrator.engines.types.engine_type import EngineType
from tandem_orchestrator.engines.types.llamacpp import LlamaCpp
from tandem_orchestrator.engines.types.ollama import Ollama
from tandem_orchestrator.engines.types.openai import OpenAI
from tandem_orchestrator.engines.types.sglang import SGLang
from tandem_orchestrator.engines.types.tgi import Tgi
from tandem_orchestrator.engines.types.vllm import Vllm

__all__ = ["ENGINE_TYPES", "EngineType"]

ENGINE_TYPES: Final[dict[UpstreamType, EngineType]] = {
    UpstreamType.VLLM: Vllm(),
    UpstreamType.SGLANG: SGLang(),
    UpstreamType.TGI: Tgi(),
    UpstreamType.OLLAMA: Ollama(),
    UpstreamType.LLAMACPP: LlamaCpp(),
    UpstreamType.OPENAI: OpenAI(),
}
"""What has to be known about a type of engine."""
