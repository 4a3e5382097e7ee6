"""vLLM.

What of its command line is the operator's is so in every spelling that vLLM's parser takes. An option's name ends at
`=`, or at a dot that leads into a JSON document; `_` counts as `-`; the beginning of a name is enough where no other
option begins so; a short option may have its value right behind it. What begins as an option is one, wherever it
stands.
"""

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from tandem_contract import names
from tandem_contract.config import UpstreamType

from tandem_operator.engines.base import CACHE_PATH, CPU, TEMPLATE_PATH, Engine, Probe
from tandem_operator.rules import Rule

if TYPE_CHECKING:
    from tandem_operator.api.component import EngineComponent
    from tandem_operator.api.llmservice import LLMService
    from tandem_operator.manifests.engine.model_files import ModelFiles

VERSION: Final = "v0.33.0"

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

_OWNED_ENV: Final = "VLLM_(API_KEY|PORT|HOST_IP|DP_.*|SERVER_DEV_MODE|USE_RUST_FRONTEND)"
"""The last two would open the engine: endpoints for developers ask for no key, and the Rust front end gets none."""
_OPTIONS: Final = (
    "--model",
    "--served-model-name",
    "--host",
    "--port",
    "--uds",
    "--root-path",
    "--api-key",
    "--hf-token",
    "--tensor-parallel-size",
    "--pipeline-parallel-size",
    "--prefill-context-parallel-size",
    "--nnodes",
    "--node-rank",
    "--headless",
    "--shutdown-timeout",
    "--config",
)
"""Set from fields, or at odds with the pod: its accelerators, its port and probes. A --config may hold them all."""
_FAMILIES: Final = ("--ssl-", "--grpc", "--data-parallel-", "-tp", "-pp", "-pcp", "-dp", "-n", "-r")
"""Whatever begins with one of these is the operator's, too."""
_NAME: Final = "^-[-_A-Za-z0-9]+"
_HIDDEN: Final = "^((-[^.=]*|-O=)?[$][(]|-O=?-)"
"""Kubernetes fills in variables before vLLM reads the arguments, and vLLM takes what follows -O for another one."""

_POLICY: Final = re.compile(r"(?:^| )--scheduling[-_]policy[= ](\S+)")


def _is_owned(argument: str) -> bool:
    found = re.match(_NAME, argument)
    name = found[0].replace("_", "-") if found else ""
    return bool(name) and (any(o.startswith(name) for o in (*_OPTIONS, *_FAMILIES)) or name.startswith(_FAMILIES))


_RULES: Final = (
    Rule(
        cel=f"!self.extraArgs.map(a, a.find('{_NAME}').replace('_', '-')).exists(n, n != '' && ("
        f"{[*_OPTIONS, *_FAMILIES]}.exists(o, o.startsWith(n)) || {list(_FAMILIES)}.exists(f, n.startsWith(f))))",
        holds=lambda engine: not any(map(_is_owned, engine.extra_args)),
        message="engine.extraArgs must not set what the operator sets, in full, shortened or by --config: model, "
        "served name, address, API key, Hugging Face token, TLS, parallelism and shutdown have fields of their own",
        field="extraArgs",
    ),
    Rule(
        cel=f"!self.extraArgs.exists(a, a.matches('{_HIDDEN}'))",
        holds=lambda engine: not any(re.match(_HIDDEN, argument) for argument in engine.extra_args),
        message="engine.extraArgs must not take an option from a variable, nor have one behind -O; a value may be a "
        "variable, as in --option=$(NAME)",
        field="extraArgs",
    ),
    Rule(
        cel=f"!self.env.exists(e, e.name.matches('^{_OWNED_ENV}$'))",
        holds=lambda engine: not any(re.fullmatch(_OWNED_ENV, env.name) for env in engine.env),
        message="engine.env must not set VLLM_API_KEY, VLLM_PORT, VLLM_HOST_IP or VLLM_DP_…, which are the "
        "operator's, nor VLLM_SERVER_DEV_MODE or VLLM_USE_RUST_FRONTEND, which serve without its key",
        field="env",
    ),
)


class Vllm(Engine):
    """See `Engine`."""

    images = {  # noqa: RUF012 # as the class says, it does not change
        "nvidia.com/gpu": f"docker.io/vllm/vllm-openai:{VERSION}",
        "amd.com/gpu": f"docker.io/vllm/vllm-openai-rocm:{VERSION}",
        CPU: f"docker.io/vllm/vllm-openai-cpu:{VERSION}",
    }
    rules = _RULES
    upstream_type = UpstreamType.VLLM
    command = ("vllm", "serve")
    # Orchestrators forget a pod when its address has gone from DNS, whose answers are kept for up to 30 s. From SIGTERM
    # on vLLM still accepts requests and answers them with nothing, so by then none may come.
    pre_stop_seconds = 40
    starting = Probe("/health", period=10, timeout=5)
    serving = Probe("/health", period=10, timeout=10, failures=3)
    # Saturation makes /health slow, which is no reason to kill a working engine; 150 s of silence are.
    living = Probe("/health", period=30, timeout=30, failures=5)
    model_errors = re.compile(
        r"(?i)repository ?not ?found|gated ?repo|is not a valid model identifier|is not a local folder"
        r"|401 client error|403 client error|429 client error|revision ?not ?found|no such file or directory: '/models"
        r"|cannot find (the requested files|any model weights)|offlinemodeisenabled|localentrynotfound"
    )

    def arguments(self, service: "LLMService", component: "EngineComponent", files: "ModelFiles") -> list[str]:
        """See `Engine`."""
        engine, tools = component.spec, component.spec.tool_calling
        template = TEMPLATE_PATH if tools.inline_chat_template else tools.chat_template
        options = {
            "--revision": files.revision,
            "--load-format": "runai_streamer" if files.streamed else None,
            "--served-model-name": component.model.served_name,
            "--runner": "pooling" if component is service.embedding else None,
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

    def takes_priority(self, extra_args: Sequence[str]) -> bool:
        """See `Engine`."""
        policies = _POLICY.findall(" ".join(extra_args))
        return bool(policies) and policies[-1] == "priority"

    def environment(self, service: "LLMService", component: "EngineComponent") -> list[dict[str, Any]]:
        """See `Engine`."""
        key = {"secretKeyRef": {"name": service.engine_key_name, "key": names.ENGINE_KEY}}
        address = {"fieldRef": {"fieldPath": "status.podIP"}}
        # vLLM gives up on its own processes after 10 minutes otherwise, however long Kubernetes would wait.
        patience = {"VLLM_ENGINE_READY_TIMEOUT_S": str(component.spec.startup_seconds)}
        plain = [{"name": name, "value": value} for name, value in {**_ENV, **patience}.items()]
        return [*plain, {"name": "VLLM_API_KEY", "valueFrom": key}, {"name": "VLLM_HOST_IP", "valueFrom": address}]
