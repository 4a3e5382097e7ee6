"""Flags read out of packages, of which nothing is run."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from hack.engine_flags import flags, noted
from hack.failure import Failure

VLLM = """
raise SystemExit("it is not run")
class EngineArgs:
    seed: int = 0
    def add_cli_args(parser):
        group.add_argument("--seed", "-s", **kwargs["seed"])
        group.add_argument("--device-memory-utilization", "--gpu-memory-utilization")
        parser.add_argument("model_tag")
class BaseFrontendArgs:
    uvicorn_log_level: str = "info"
"""
SGLANG = """
class Serving:
    host: A[str, "The host."] = "127.0.0.1"
    model_path: A[str, Arg(help="Path.", aliases=["--model"])]
    ep_join_mode: A[bool, Arg(cli_name="--elastic-ep-join-mode")] = False
    grpc_worker_threads: A[int, Arg(no_cli=True)] = 0
    plain: int = 0
"""

LLAMACPP = """
    add_opt(common_arg(
        {"-c", "--ctx-size"}, "N", "see {here}",
        [](common_params & params, int value) { params.n_ctx = value; }
    ).set_env("LLAMA_ARG_CTX_SIZE"));
    add_opt(common_arg({ "--slots" }, { "--no-slots" },
    ).set_examples({LLAMA_EXAMPLE_CLI, LLAMA_EXAMPLE_SERVER}));
    add_opt(common_arg(
        // a note
        {"--mmproj"}, "FILE").set_examples(examples));
    add_opt(common_arg({"--color"}).set_examples({LLAMA_EXAMPLE_CLI}));
    add_opt(common_arg({"--verbose-prompt"}).set_excludes({LLAMA_EXAMPLE_SERVER}));
    add_opt(common_arg({"--draft"}, "N", "the argument has been removed. use another"));
    // add_opt(common_arg({"--some-day"}));
    return ctx_arg;
}
    args.push_back(common_arg({"--preset"}));
"""


def wheel(folder: Path, **sources: str) -> Path:
    path = folder / "some.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, source in sources.items():
            archive.writestr(name, source)
    return path


def test_flags_are_those_of_calls_fields_and_annotations(tmp_path: Path) -> None:
    vllm = wheel(tmp_path, **{"vllm/engine/arg_utils.py": VLLM, "vllm/other.py": VLLM.replace("--seed", "--other")})
    assert flags(vllm, "vllm") == {
        "--seed",
        "--device-memory-utilization",
        "--gpu-memory-utilization",
        "--uvicorn-log-level",
    }
    sglang = wheel(tmp_path, **{"sglang/srt/arg_groups/fields/serving.py": SGLANG})
    assert flags(sglang, "sglang") == {"--host", "--model-path", "--model", "--elastic-ep-join-mode"}


def test_llama_cpps_flags_are_those_that_its_server_takes(tmp_path: Path) -> None:
    sdist = tmp_path / "some.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        member = tarfile.TarInfo("llama_cpp_python-1/vendor/llama.cpp/common/arg.cpp")
        member.size = len(LLAMACPP)
        archive.addfile(member, io.BytesIO(LLAMACPP.encode()))
    assert flags(sdist, "llamacpp") == {"--ctx-size", "--slots", "--no-slots", "--mmproj"}


def test_a_release_is_noted_once_by_what_changed() -> None:
    table = noted([], "1.0.0", {"--a", "--b"})
    table = noted(table, "1.1.0", {"--b", "--c"})
    assert table[1] == {"release": "1.1.0", "new": ["--c"], "gone": ["--a"]}
    with pytest.raises(Failure, match=r"1\.1\.0 is in the table already"):
        noted(table, "1.1.0", {"--b"})
