"""vLLM's container: arguments, environment, probes."""

import math
from typing import Final

from tandem_contract import names

from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.naming import engine_key_name
from tandem_operator.manifests import configmap
from tandem_operator.manifests.component import Manifest
from tandem_operator.manifests.engine.model_files import MOUNT_PATH, ModelFiles
from tandem_operator.manifests.pod import container, environment, http_probe, resources, variables

CACHE_PATH: Final = "/cache"
TEMPLATE_PATH: Final = "/etc/tandem-engine"
PRE_STOP_SECONDS: Final = 40
"""Orchestrators forget a pod when its address has gone from DNS, whose answers are kept for up to 30 s. From SIGTERM
on vLLM still accepts requests and answers them with nothing, so by then none may come."""
_STARTUP_PERIOD: Final = 10
_SOON_KILLED: Final = {"terminationGracePeriodSeconds": 30}
"""An engine that does not answer has nothing to finish."""

# The image's home is root's and its root file system may be read-only, so every cache is told where to live.
_ENV: Final = {
    "HOME": CACHE_PATH,
    "USER": "tandem",
    "TMPDIR": "/tmp",  # noqa: S108 # an emptyDir of the pod's own
    "XDG_CACHE_HOME": f"{CACHE_PATH}/xdg",
    "HF_HOME": f"{CACHE_PATH}/huggingface",
    "VLLM_CACHE_ROOT": f"{CACHE_PATH}/vllm",
    "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_PATH}/torchinductor",
    "TRITON_CACHE_DIR": f"{CACHE_PATH}/triton",
    "VLLM_NO_USAGE_STATS": "1",
}


def build(service: LLMService, image: str, files: ModelFiles) -> Manifest:
    """Return the engine's container."""
    engine = service.spec.engine
    accelerators = {engine.accelerator: str(engine.gpu_count)} if engine.gpu_count else {}
    attempts = math.ceil(engine.startup_seconds / _STARTUP_PERIOD)
    key = {"secretKeyRef": {"name": engine_key_name(service), "key": names.ENGINE_KEY}}
    address = {"fieldRef": {"fieldPath": "status.podIP"}}
    # vLLM gives up on its own processes after 10 minutes otherwise, however long Kubernetes would wait.
    patience = variables({"VLLM_ENGINE_READY_TIMEOUT_S": str(engine.startup_seconds)})
    ours = [{"name": "VLLM_API_KEY", "valueFrom": key}, {"name": "VLLM_HOST_IP", "valueFrom": address}]
    env = [*variables(_ENV), *patience, *ours, *files.env]
    mounts: list[Manifest] = [
        {"name": "cache", "mountPath": CACHE_PATH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
    ]
    if files.volume:
        mounts.append({"name": "model", "mountPath": MOUNT_PATH, "readOnly": True})
    if configmap.inline_chat_template(service):
        mounts.append({"name": "chat-template", "mountPath": TEMPLATE_PATH, "readOnly": True})
    return container(
        "engine",
        image,
        pre_stop=PRE_STOP_SECONDS,
        # NVIDIA's hook for CDI links libraries into it before the container starts, and fails where it cannot.
        read_only=not engine.gpu_count,
        command=["vllm", "serve"],
        args=arguments(service, files),
        env=environment(env, engine),
        ports=[{"name": "http", "containerPort": names.ENGINE_PORT, "protocol": "TCP"}],
        resources=resources(engine.resources, accelerators, engine.model_cache.size_limit),
        volumeMounts=mounts,
        startupProbe={
            **http_probe("/health", period=_STARTUP_PERIOD, timeout=5, failures=attempts),
            **_SOON_KILLED,
        },
        readinessProbe=http_probe("/health", period=10, timeout=10, failures=3),
        # Saturation makes /health slow, which is no reason to kill a working engine; 150 s of silence are.
        livenessProbe={**http_probe("/health", period=30, timeout=30, failures=5), **_SOON_KILLED},
    )


def arguments(service: LLMService, files: ModelFiles) -> list[str]:
    """Return vLLM's arguments: the model, options, those of the spec last."""
    engine, tools = service.spec.engine, service.spec.engine.tool_calling
    template = tools.chat_template
    if configmap.inline_chat_template(service):
        template = f"{TEMPLATE_PATH}/{configmap.CHAT_TEMPLATE_KEY}"
    options = {
        "--revision": files.revision,
        "--load-format": "runai_streamer" if files.streamed else None,
        "--served-model-name": service.spec.model.served_name,
        # vLLM listens at one family of addresses: the one that the pod has here, which probes and Services use.
        "--host": "$(VLLM_HOST_IP)",
        "--port": names.ENGINE_PORT,
        "--tensor-parallel-size": engine.tensor_parallel,
        "--pipeline-parallel-size": engine.parallelism.pipeline,
        "--dtype": engine.dtype,
        "--max-model-len": engine.max_model_len,
        "--quantization": engine.quantization,
        "--max-num-seqs": engine.max_num_seqs,
        "--tool-call-parser": tools.parser if tools.enabled else None,
        "--reasoning-parser": tools.reasoning_parser,
        "--chat-template": template,
        "--shutdown-timeout": math.ceil(service.spec.orchestrator.config.drain_seconds),
    }
    written = [f"{option}={value}" for option, value in options.items() if value is not None]
    return [files.model, *written, *(["--enable-auto-tool-choice"] if tools.enabled else []), *engine.extra_args]
