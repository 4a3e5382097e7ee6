"""The engines that Tandem runs, one file each."""

from typing import Final

from tandem_operator.engines.base import Engine, EngineType
from tandem_operator.engines.vllm import Vllm

ENGINES: Final[dict[EngineType, Engine]] = {EngineType.VLLM: Vllm()}
