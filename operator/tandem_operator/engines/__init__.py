"""The engines that Tandem runs, one file each."""

from typing import Final

from tandem_operator.engines.base import Capability, Engine, EngineType
from tandem_operator.engines.llamacpp import LlamaCpp
from tandem_operator.engines.ollama import Ollama
from tandem_operator.engines.sglang import SGLang
from tandem_operator.engines.tgi import Tgi
from tandem_operator.engines.vllm import Vllm

ENGINES: Final[dict[EngineType, Engine]] = {
    EngineType.VLLM: Vllm(),
    EngineType.SGLANG: SGLang(),
    EngineType.TGI: Tgi(),
    EngineType.OLLAMA: Ollama(),
    EngineType.LLAMACPP: LlamaCpp(),
}


def types_with(*capabilities: Capability) -> list[str]:
    """Return the types of the engines that have all of these."""
    return [str(kind) for kind, engine in ENGINES.items() if engine.capabilities.issuperset(capabilities)]
