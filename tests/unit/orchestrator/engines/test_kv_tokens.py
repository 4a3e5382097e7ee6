"""What vLLM says of the room in its cache."""

import pytest
from tandem_orchestrator.engines.types.vllm import Vllm

INFO = b'vllm:cache_config_info{block_size="16",engine="%d",kv_cache_size_tokens="%b",num_gpu_blocks="9"} 1.0\n'


@pytest.mark.parametrize(
    ("raw", "tokens"),
    [
        (INFO % (0, b"184832"), 184_832),
        (b"# HELP x\n" + INFO % (0, b"100") + INFO % (1, b"50"), 150),
        (INFO % (0, b"None"), None),
        (INFO % (0, b"1" * 40), None),
        (b'vllm:cache_config_info{block_size="16"} 1.0\nother{kv_cache_size_tokens="5"} 1\n', None),
        (b"", None),
    ],
)
def test_the_tokens_of_all_its_engines(raw: bytes, tokens: int | None) -> None:
    assert Vllm().kv_tokens(raw) == tokens
