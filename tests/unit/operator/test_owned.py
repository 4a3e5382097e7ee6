"""What a spec may tell the other engines beyond its fields; test_arguments.py is about vLLM."""

from typing import Any

import pytest
from pydantic import ValidationError
from tandem_operator.api.engine import EngineSpec

SGLANG = """
    --model-path --model --model=x --api-key --api-key=x --api-k --api_key=x --admin-api-key=x --admin --served-model=x
    --host --port=1 --tp --tp-size --tensor-parallel-size=2 --tensor --pp=2 --pipeline-par --nnodes=2 --node-rank
    --dist-init-addr=x --config --config=/cache/x --conf --ssl-keyfile=x --enable-ssl-refresh --grpc-port=1
    --smg-grpc-mode --sidecar=os --sidecar-args --fastapi-root-path=/x --use-ray --tool-server=x --is-embedding
    --disaggregation-mode=decode --max-loaded-loras=8 $(A) -$(A) --$(A)=x --
"""
TGI = """
    --model-id --model-id=x --api-key --api-key=x --hostname=0.0.0.0 --port=1 -p -p1 -p=1 -e -ep1 --num-shard=2
    --sharded=false --master-port=1 --ngrok --ngrok-authtoken=x --max-concurrent-requests=1 --quantize=awq
    --weights-cache-override=/x --env --prometheus-port=1 $(A) --$(A)
"""
LLAMACPP = """
    -m --model --model-url -mu -hf -hfr --hf-repo --hf_repo -hff --hf-file -hft --hf-token -dr --docker-repo -a --alias
    --host --port --reuse-port --api-key --api_key --api-key-file --api-prefix --ssl-key-file --ssl-cert-file --path
    --props --slot-save-path --media-path --tools --tools-runtime --mcp-servers-config --mcp_servers_json -ag --agent
    -no-ag --ui --webui --ui-mcp-proxy --webui-mcp-proxy --no-ui-mcp-proxy --ui-config-file --models-dir
    --models-preset --models-max --models-autoload --embedding --embeddings --fim-qwen-7b-default --gpt-oss-20b-default
    --vision-gemma-4b-default --embd-gemma-default $(A) -$(A) --$(A)
"""
REFUSED = [
    *(("sglang", argument) for argument in SGLANG.split()),
    *(("tgi", argument) for argument in TGI.split()),
    *(("llamacpp", argument) for argument in LLAMACPP.split()),
    ("ollama", "--verbose"),
    ("ollama", "x"),
]
ADMITTED = {
    "sglang": [
        "--mem-fraction-static=0.8",
        "--chunked-prefill-size",
        "4096",
        "--kv-cache-dtype=$(DTYPE)",
        "--model-impl=x",
        "--max-loras-per-batch=4",
    ],
    "tgi": [
        "--dtype=float16",
        "--rope-factor",
        "2.0",
        "--trust-remote-code",
        "--lora-adapters=a,b",
        "--cuda-graphs=$(A)",
    ],
    "llamacpp": [
        "--threads",
        "4",
        "-ngl",
        "99",
        "-mm",
        "/x",
        "--model-draft",
        "/models/d.gguf",
        "--reranking",
        "-fa",
        "on",
    ],
}


def spec(kind: str, **fields: Any) -> EngineSpec:
    return EngineSpec.model_validate({"type": kind, "accelerator": "cpu", "image": "example.com/engine:1", **fields})


@pytest.mark.parametrize(("kind", "argument"), REFUSED)
def test_what_the_operator_sets_or_would_open_the_engine_is_refused(kind: str, argument: str) -> None:
    with pytest.raises(ValidationError, match=r"engine\.extraArgs must"):
        spec(kind, extraArgs=["x", argument, "x"])


@pytest.mark.parametrize("kind", ADMITTED)
def test_other_options_are_admitted(kind: str) -> None:
    assert spec(kind, extraArgs=ADMITTED[kind]).extra_args == ADMITTED[kind]


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("llamacpp", "XDG_CONFIG_HOME LLAMA_APP_CMD TANDEM_POD_IP"),
        ("sglang", "SGLANG_PORT SGLANG_GRPC_PORT SGLANG_RUST_SERVER TANDEM_ENGINE_KEY TANDEM_POD_IP"),
        (
            "tgi",
            "MODEL_ID HOSTNAME PORT API_KEY NGROK NGROK_AUTHTOKEN MASTER_PORT NUM_SHARD PROMETHEUS_PORT TANDEM_POD_IP",
        ),
        (
            "ollama",
            "OLLAMA_HOST OLLAMA_MODELS OLLAMA_ORIGINS OLLAMA_MAX_QUEUE OLLAMA_NUM_PARALLEL OLLAMA_CONTEXT_LENGTH",
        ),
        (
            "llamacpp",
            "LLAMA_ARG_TOOLS LLAMA_ARG_NO_AGENT LLAMA_ARG_HOST LLAMA_API_KEY LLAMA_SERVER_ROUTER_PORT AIP_MODE HOME",
        ),
    ],
)
def test_variables_that_would_open_or_move_it_are_refused_and_others_are_not(kind: str, names: str) -> None:
    for name in names.split():
        with pytest.raises(ValidationError, match=r"engine\.env must not set"):
            spec(kind, env=[{"name": name, "value": "1"}])
    for name in (
        "OLLAMA_FLASH_ATTENTION",
        "HF_HUB_ENABLE_HF_TRANSFER",
        "GGML_CUDA_ENABLE_UNIFIED_MEMORY",
        "NCCL_DEBUG",
    ):
        assert spec(kind, env=[{"name": name, "value": "1"}])
