"""Which flags an image's release takes, and what is said of one that it lacks."""

import json
from importlib.resources import files

import pytest
from tandem_operator.api.llmservice import LLMService
from tandem_operator.engines import releases
from tandem_operator.engines.releases import LLAMACPP, SGLANG, VLLM, Releases
from tandem_operator.manifests import Images, Platform, unknown_arguments

from tests.vllm_parser import OPTIONS

OPENAI = "docker.io/vllm/vllm-openai"


def lacking(image: str, *arguments: str, of: Releases = VLLM) -> list[str]:
    return [*of.lacking(image, [*arguments])]


@pytest.mark.parametrize(
    ("tag", "argument", "said"),
    [
        ("v0.32.0", "--monokernel=a", "--monokernel is not in vLLM v0.32.0; it came with v0.33.0"),
        (
            "v0.33.0",
            "--swap_space",
            "--swap-space is not in vLLM v0.33.0; it was there until v0.17.1 and is gone in v0.18.1",
        ),
        ("0.30.0-cu129", "--log-level", "--log-level is not in vLLM 0.30.0-cu129; it came with v0.31.0"),
        ("v0.33.0@sha256:00", "--fo.bar=1", "--fo is not in vLLM v0.33.0, nor in any release that is known here"),
        ("v0.33.0", "--no-such-thing", "--no-such-thing is not in vLLM v0.33.0, nor in any release that is known here"),
    ],
)
def test_a_flag_that_is_lacking_is_named_with_the_release_that_has_it(tag: str, argument: str, said: str) -> None:
    assert lacking(f"{OPENAI}:{tag}", "--enforce-eager", argument, "x") == [said]


@pytest.mark.parametrize(
    "argument",
    [
        "--enforce-eager",
        "--no-enable-prefix-caching",
        "--max-mod",
        "--kv-transfer-config.kv_ip=x",
        "--seed=1",
        "-O3",
        "4",
    ],
)
def test_what_a_release_takes_in_one_way_or_another_is_let_be(argument: str) -> None:
    assert lacking(f"{OPENAI}:v0.33.0", argument) == []


@pytest.mark.parametrize(
    "image",
    [
        f"{OPENAI}:latest",
        f"{OPENAI}:v0.33.0rc1",
        f"{OPENAI}:v0.99.0",
        f"{OPENAI}:v0.9.2",
        f"{OPENAI}@sha256:{'0' * 64}",
        OPENAI,
        "registry.example.com/assistant:v0.33.0",
        "registry.example.com:5000/team/my-vllm:0.33.0",
    ],
)
def test_nothing_is_said_of_an_image_whose_release_is_not_known(image: str) -> None:
    assert lacking(image, "--never-heard-of") == []
    assert not VLLM.has(image, "--seed")


def test_between_two_releases_only_what_both_lack_is_lacking_and_only_what_both_have_is_there() -> None:
    between = f"{OPENAI}:v0.32.1"
    assert lacking(between, "--monokernel", "--swap-space") == [
        "--swap-space is not in vLLM v0.32.1; it was there until v0.17.1 and is gone in v0.18.1"
    ]
    assert VLLM.has(between, "--fingerprint-mode")
    assert not VLLM.has(between, "--monokernel")


def test_sglangs_releases_are_told_by_its_tags_too() -> None:
    image = "docker.io/lmsysorg/sglang:v0.5.12.post1-cu130"
    assert lacking(image, "--mem-fraction-static=0.8", of=SGLANG) == []
    assert lacking(image, "--mem-fraction", "--gpu-memory-utilization", of=SGLANG) == [
        "--gpu-memory-utilization is not in SGLang v0.5.12.post1-cu130, nor in any release that is known here"
    ]


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("server-b11312", "--mlock is not in llama.cpp server-b11312; it was there until b10454 and is gone in b11312"),
        ("server-cuda12-b10454", "--lazy-mode is not in llama.cpp server-cuda12-b10454; it came with b11312"),
        ("server-b10775", None),
        ("server-b99999", None),
        ("server", None),
    ],
)
def test_llama_cpps_releases_are_the_builds_in_its_tags(tag: str, said: str | None) -> None:
    image = f"ghcr.io/ggml-org/llama.cpp:{tag}"
    assert lacking(image, "--mlock", "--lazy-mode", "-ngl", "99", of=LLAMACPP) == ([said] if said else [])


def test_llama_cpp_takes_whole_flags_alone() -> None:
    (said,) = lacking("mirror/llama.cpp:server-b11312", "--no-context-shift", "--context_shift", "--ctx", of=LLAMACPP)
    assert said.startswith("--ctx is not in llama.cpp server-b11312, nor in any")


def test_the_images_of_the_platform_count_where_a_spec_names_none() -> None:
    spec = {
        "model": {"source": "hf://a/b"},
        "embeddingEngine": {"model": {"source": "hf://a/c"}, "extraArgs": ["--grammar"]},
    }
    service = LLMService.model_validate({"metadata": {"name": "demo"}, "spec": spec})
    older = Platform(images=Images(engine_cpu=f"{OPENAI}-cpu:v0.20.2"))
    (line,) = unknown_arguments(service, older)
    assert line.startswith("spec.embeddingEngine.extraArgs: --grammar is not in vLLM v0.20.2")
    assert [*unknown_arguments(service, Platform(images=Images(engine_cpu="registry/engine:1")))] == []


def test_the_newest_table_is_what_the_tests_parser_of_vllm_takes() -> None:
    assert all(VLLM.has(f"{OPENAI}:v0.33.0", option[0]) for option in OPTIONS)


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llamacpp"])
def test_each_table_holds_releases_in_their_order_and_no_change_twice(engine: str) -> None:
    table = json.loads(files(releases).joinpath(f"{engine}.json").read_text())
    order = [tuple(map(int, entry["release"].split("."))) for entry in table]
    assert order == sorted(set(order))
    known: set[str] = set()
    for entry in table:
        assert not known & {*entry["new"]}
        assert known >= {*entry["gone"]}
        known = (known | {*entry["new"]}) - {*entry["gone"]}
    assert len(known) > 300
