"""`upstreams` and `routing`: the engines, and how requests find them."""

from enum import StrEnum

from pydantic import Field, SecretStr

from tandem_contract.config.base import HttpUrl, Name, Seconds, SecretFile, Section


class UpstreamType(StrEnum):
    """What is known about an engine beyond OpenAI's API."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TGI = "tgi"
    OLLAMA = "ollama"
    LLAMACPP = "llamacpp"
    OPENAI = "openai"


class Discovery(StrEnum):
    """How an engine's replicas are found."""

    NONE = "none"
    DNS = "dns"


class StructuredOutputs(StrEnum):
    """How answers come about that have to fit a JSON schema."""

    NATIVE = "native"
    CORRECTED = "corrected"


class UpstreamTls(Section):
    """How the certificate of an engine that speaks HTTPS is checked."""

    ca: SecretFile
    """PEM file with the certificates of the authorities that may have signed it, in the place of those that the system
    trusts; read again when it changes."""


class Adapter(Section):
    """A LoRA adapter of an engine's model; requests ask for it as for a model of its name."""

    name: Name
    """Name that clients write as `model`."""
    path: str = Field(min_length=1, max_length=512)
    """Where the engine finds it: a folder of its own, or a repository that it downloads."""


class Upstream(Section):
    """One engine with any number of replicas, which serves one model, and adapters of it, under OpenAI's API."""

    name: Name
    """Name in logs and metrics."""
    type: UpstreamType = UpstreamType.VLLM
    """What the server is: of those with a name, load, health and refusals are understood; openai is any other
    compatible server."""
    url: HttpUrl
    """Base URL, with or without a trailing /v1."""
    discovery: Discovery = Discovery.NONE
    """dns: each address of the URL's host is a replica of its own (a headless Service); none: the URL is one server."""
    concurrency: int | None = Field(default=None, ge=1, le=100_000)
    """Requests that each replica gets at the same time from each worker process; the others wait for their turn.
    Default: learned from engines that tell how many wait inside, else unbounded."""
    priority: bool = False
    """The engine orders what waits inside by `priority` (vLLM: --scheduling-policy=priority): what is of the class
    batch comes last there, too. Other engines refuse that field, and no client may set it."""
    model: Name | None = None
    """Served model name, as clients write it; left out, the engine's own list of models says it."""
    api_key_file: str | None = None
    """File whose content is sent to the engine as a bearer token; read again when it changes."""
    api_key: SecretFile | None = None
    """The same as a secret; what an LLMService uses for engines that are not its own."""
    api_key_value: SecretStr | None = None
    """The key itself; meant for the variable VLLM_API_KEY."""
    previous_api_key_file: str | None = None
    """File with the key that came before that in apiKeyFile, for as long as replicas may take that one alone: one that
    answers 401 to either key is asked with the other. Where there is no such file, there is no such key."""
    structured_outputs: StructuredOutputs = StructuredOutputs.NATIVE
    """What becomes of `response_format` in chats. native: the engine is sent it. corrected, for an engine that has no
    such thing: it is told the schema in words, its answer is checked, and where that does not fit it is asked once
    more."""
    adapters: list[Adapter] = Field(default=[], max_length=256)
    """Adapters that each replica is told to load, without a restart; for type vllm, with
    VLLM_ALLOW_RUNTIME_LORA_UPDATING and --enable-lora, and for sglang, with --enable-lora, --max-lora-rank and
    --lora-target-modules."""
    tls: UpstreamTls | None = None
    """How the certificate behind an https:// URL is checked. Default: by the authorities that the system trusts."""
    candidate_of: Name | None = None
    """Name of the upstream whose requests it takes a share of, while it is ready. Clients do not see its own model
    name: it answers for the models of that upstream, and where it fails that upstream is asked."""
    weight: int = Field(default=0, ge=0, le=100)
    """Percent of that upstream's requests which it takes; it takes all of them while that upstream is not ready."""


class Routing(Section):
    """How requests are spread over replicas, and what happens when one fails."""

    prefix_affinity: bool = True
    """Send requests that begin alike to the same replica, as long as it is not much busier than the others, so that its
    prefix cache is used."""
    retries: int = Field(default=2, ge=0, le=10)
    """Further attempts, on another replica where there is one, for a request of which nothing was answered yet. What an
    engine may have begun with is sent again once at most, and never after two engines died while they had it."""
    breaker_failures: int = Field(default=5, ge=1, le=1000)
    """Failures in a row, at what another replica answered then, after which a replica gets no requests for a while; the
    only one that is left goes on getting them."""
    breaker_seconds: Seconds = 10.0
    """How long that while is; then the replica gets requests again, until the first that fails."""
    fair_share: bool = True
    """Keep what waits inside the replicas short, so that requests wait in the orchestrator, where tenants take turns by
    weight and class (see tenants); needs `hold`. Without it a replica gets all requests as they come."""
    max_waiting: int = Field(default=256, ge=1, le=100_000)
    """Requests that may wait inside each replica that tells its load; when all have more, a request is refused with
    429."""


class Hold(Section):
    """Requests wait here while their engine is recreated, loading or scaled to zero."""

    max_requests: int = Field(default=1000, ge=0, le=100_000)
    """Requests that may wait, in each orchestrator pod; 0 turns waiting off."""
    max_bytes: int = Field(default=67_108_864, ge=0, le=4_294_967_296)
    """Bytes that waiting requests may hold together."""
    seconds: Seconds = 300.0
    """A request waits at most so long; then 503."""
    heartbeat_seconds: Seconds = 10.0
    """A waiting stream gets an SSE comment so often, so that no proxy takes it for dead."""
