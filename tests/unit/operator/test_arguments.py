"""What a spec may tell vLLM beyond its fields: everything but what the operator sets, in whatever spelling."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tandem_operator.api.engine import EngineSpec
from tandem_operator.api.orchestrator import OrchestratorSpec
from tandem_orchestrator.config.older_variables import OLDER_VARIABLES

from tests.vllm_parser import ENDS, OPTIONS, Parser, RefusedError

PARSER = Parser()
OWNED = re.compile(
    "model|served_model_name|host|port|uds|root_path|api_key|hf_token|ssl_.*|grpc.*|config|headless|shutdown_timeout"
    "|(tensor|pipeline|prefill_context)_parallel_size|data_parallel_.*|nnodes|node_rank"
)


def is_owned(option: list[str]) -> bool:
    return bool(OWNED.fullmatch(option[0][2:].replace("-", "_")))


def admitted(*arguments: str) -> bool:
    try:
        EngineSpec.model_validate({"extraArgs": list(arguments)})
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    "argument",
    [
        "--model",
        "--api_key=",
        "--api-key=x\n",
        "--api-key\n",
        "--api-k=x",
        "--served_model_name=x",
        "--served-model",
        "--tensor_parallel_size=2",
        "--tensor-par",
        "-tp",
        "-tp=2",
        "-t",
        "-pp",
        "-pcp=2",
        "-dp=2",
        "-n2",
        "--api-key.a=x",
        "--api_key.a",
        "--config",
        "--config=/cache/vllm.yaml",
        "--conf",
        "--ssl-keyfile=/x",
        "--ss",
        "--data-parallel-size-local=2",
        "--grpc",
        "--headless",
        "--hf-token=x",
        "--",
    ],
)
def test_arguments_that_the_operator_sets_are_refused_in_every_spelling(argument: str) -> None:
    with pytest.raises(ValidationError, match="extraArgs must not set"):
        EngineSpec.model_validate({"extraArgs": ["--seed", "7", argument, "x"]})


@pytest.mark.parametrize(
    "argument",
    ["$(A)", "$(A)-key=x", "-$(A)", "--$(A)=x", "--api$(A)", "--seed$(A)", "-O--api-key=x", "-O=-tp", "-O=$(A)"],
)
def test_an_option_cannot_come_from_elsewhere(argument: str) -> None:
    with pytest.raises(ValidationError, match=r"--option=\$\(NAME\)"):
        EngineSpec.model_validate({"extraArgs": ["--seed.a", argument]})


def test_a_variable_may_be_a_value() -> None:
    assert admitted("--kv-transfer-config.kv_ip=$(POD_IP)", "--seed=$(SEED)", "--seed", "7$(A)")


def test_every_other_option_is_admitted() -> None:
    others = [option for option in OPTIONS if not is_owned(option)]
    assert len(others) > 280
    for option in others:
        for name in (*option, f"--{option[0][2:].replace('-', '_')}"):
            assert admitted(name, f"{name}=-1", name, "a.b=c", f"{name}.part+=a"), name


VALUES = st.sampled_from(["", "x", "-1", "-", "a=b", "org/other", "-O3", "-O--api-key=x", "-Ox", "-cc.level=3"])


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """An option, whole or not, in one way or another."""
    name = draw(st.sampled_from([name for option in OPTIONS for name in option]))
    if draw(st.booleans()):
        name = draw(st.sampled_from([names[0] for names in OPTIONS if is_owned(names)]))
    name = name[: draw(st.integers(1, len(name)))]
    if draw(st.booleans()):
        name = name[:3] + name[3:].replace("-", "_", draw(st.integers(0, 3)))
    if draw(st.integers(0, 9)) == 0:
        name = draw(st.sampled_from([name.upper(), f"-{name}", f"--no{name[1:]}", f"{name}\N{ZERO WIDTH SPACE}"]))
    return name + draw(st.sampled_from(ENDS))


@settings(max_examples=600, deadline=None, derandomize=True)
@given(st.lists(st.one_of(spellings(), VALUES), min_size=1, max_size=3))
def test_what_is_admitted_sets_nothing_that_the_operator_sets(arguments: list[str]) -> None:
    if not admitted(*(argument for argument in arguments if argument)):
        return
    try:
        found = PARSER.settings(arguments)
    except RefusedError:
        return
    assert not [name for name in found if OWNED.fullmatch(name)]


@pytest.mark.parametrize(
    "name",
    [
        "VLLM_API_KEY",
        "VLLM_PORT",
        "VLLM_HOST_IP",
        "VLLM_DP_SIZE",
        "VLLM_SERVER_DEV_MODE",
        "VLLM_USE_RUST_FRONTEND",
    ],
)
def test_variables_that_open_or_move_the_engine_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=r"engine\.env must not set"):
        EngineSpec.model_validate({"env": [{"name": name, "value": "1"}]})


def test_other_variables_of_the_engine_are_admitted() -> None:
    for name in ("HF_HOME", "VLLM_LOGGING_LEVEL", "VLLM_PORTS", "vllm_api_key", "VLLM_ENGINE_READY_TIMEOUT_S"):
        assert EngineSpec.model_validate({"env": [{"name": name, "value": "1"}]})


HARMLESS = {"LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT"}
"""They hold no secret, contradict no field, and the second is OpenTelemetry's own."""
SETTINGS = [
    *sorted(OLDER_VARIABLES.keys() - HARMLESS),
    "TANDEM_UPSTREAMS",
    "TANDEM_DATABASE__URL",
    "tandem_database__url",
    "Tandem_Keys__Values",
    "TANDEM_CONFIG",
    "TANDEM_SERVER__METRICS_PORT",
    "TANDEM_SERVER__TLS__KEY__FILE",
    "TANDEM_TYPO",
    "database_url",
]


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("source", [{"value": "x"}, {"valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}])
def test_the_orchestrators_settings_have_one_place(name: str, source: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"orchestrator\.config"):
        OrchestratorSpec.model_validate({"env": [{"name": name, **source}]})


def test_variables_of_the_orchestrator_that_are_no_settings_are_admitted() -> None:
    for name in (*HARMLESS, "PYTHONPATH", "SSL_CERT_FILE", "HTTPS_PROXY", "MY_TANDEM_TOKEN", "TANDEM"):
        assert OrchestratorSpec.model_validate({"env": [{"name": name, "value": "x"}]})
