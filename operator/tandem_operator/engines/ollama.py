"""Ollama.

It has no key: whoever reaches it may use, pull and delete models. So the NetworkPolicy in front of it cannot be turned
off, and its model is there before it listens to others than itself.
"""

import re
from typing import TYPE_CHECKING, ClassVar, Final

from tandem_contract import names
from tandem_contract.config import UpstreamType

from tandem_operator.engines import owned
from tandem_operator.engines.base import CACHE_PATH, CPU, HOMES, Capability, Engine, Environment, Probe
from tandem_operator.rules import Rule

if TYPE_CHECKING:
    from tandem_operator.api.component import EngineComponent
    from tandem_operator.api.llmservice import LLMService
    from tandem_operator.manifests.engine.model_files import ModelFiles

VERSION: Final = "0.17.4"

_START: Final = """\
get() {
  until ollama list >/dev/null 2>&1; do kill -0 $server; sleep 1; done
  case $1 in
  /*) printf 'FROM %s\\n' "$1" >/tmp/Modelfile; ollama create "$2" -f /tmp/Modelfile ;;
  *) ollama pull "$1"; [ "$1" = "$2" ] || ollama cp "$1" "$2" ;;
  esac
}
export OLLAMA_HOST=127.0.0.1:11434
ollama serve & server=$!
trap 'kill $server' EXIT
trap 'exit 143' TERM
get "$1" "$2" & wait $!
trap - EXIT TERM
kill $server
wait $server || true
export OLLAMA_HOST=":$3"
exec ollama serve
"""
"""Gets the model $1, under the name $2, with a server that nobody else reaches, and then serves at port $3."""


class Ollama(Engine):
    """See `Engine`."""

    name = "Ollama"
    images = {  # noqa: RUF012 # as the class says, it does not change
        "nvidia.com/gpu": f"docker.io/ollama/ollama:{VERSION}",
        "amd.com/gpu": f"docker.io/ollama/ollama:{VERSION}-rocm",
        CPU: f"docker.io/ollama/ollama:{VERSION}",
    }
    capabilities = frozenset(
        {
            Capability.TOOLS,
            Capability.JSON_SCHEMA,
            Capability.LOGPROBS,
            Capability.EMBEDDINGS,
            Capability.RESPONSES,
            Capability.MODEL_FILE,
            Capability.ADMISSION,
        }
    )
    sources = ("ollama", "hf", "pvc", "oci")
    rules = (
        Rule(
            cel="self.extraArgs.size() == 0",
            holds=lambda engine: not engine.extra_args,
            message="engine.extraArgs must be empty: Ollama takes its settings from engine.env, such as "
            "OLLAMA_FLASH_ATTENTION",
            field="extraArgs",
        ),
        owned.variables(
            "OLLAMA_(HOST|MODELS|ORIGINS|CONTEXT_LENGTH|NUM_PARALLEL|MAX_QUEUE)",
            "OLLAMA_HOST, OLLAMA_MODELS, OLLAMA_ORIGINS and OLLAMA_MAX_QUEUE, which are the operator's, nor "
            "OLLAMA_CONTEXT_LENGTH and OLLAMA_NUM_PARALLEL, which are maxModelLen and maxNumSeqs",
        ),
    )
    upstream_type = UpstreamType.OLLAMA
    command = ("/bin/sh", "-ec", _START, "ollama")
    drains = False  # it cuts what it is writing
    starting = Probe("/", period=5, timeout=5)
    serving = Probe("/", period=10, timeout=10, failures=3)
    living = Probe("/", period=30, timeout=30, failures=5)
    metrics_path: ClassVar[str | None] = None
    model_errors = re.compile(
        r"(?i)pull model manifest|file does not exist|no files? (was|were)? ?found|invalid file magic"
        r"|unsupported architecture|repository is not gguf|invalid model (name|path)"
    )

    def arguments(
        self,
        service: "LLMService",  # noqa: ARG002
        component: "EngineComponent",
        files: "ModelFiles",
        image: str,  # noqa: ARG002
    ) -> list[str]:
        """See `Engine`: those of the script by which it starts."""
        return [_model(component, files), component.model.served_name, str(names.ENGINE_PORT)]

    def environment(self, service: "LLMService", component: "EngineComponent") -> Environment:
        """See `Engine`."""
        engine = component.spec
        wanted = {
            "OLLAMA_MODELS": f"{CACHE_PATH}/ollama",
            "OLLAMA_KEEP_ALIVE": "-1",  # it holds the accelerator anyway
            "OLLAMA_MAX_QUEUE": str(service.spec.orchestrator.config.routing.max_waiting),
            "OLLAMA_CONTEXT_LENGTH": str(engine.max_model_len) if engine.max_model_len else None,
            "OLLAMA_NUM_PARALLEL": str(engine.max_num_seqs) if engine.max_num_seqs else None,
        }
        return {**HOMES, **{name: value for name, value in wanted.items() if value is not None}}


def _model(component: "EngineComponent", files: "ModelFiles") -> str:
    """Return what Ollama pulls, or the path of the file that it takes in."""
    if files.volume is not None:
        return f"{files.model}/{files.file}"
    if component.model.has_source("^hf://"):
        return f"hf.co/{files.model}{f':{files.file}' if files.file else ''}"
    return files.model
