"""`tandem-operator inspect` as a process of its own, as a Job runs it: in a folder, on the hub and in an S3 store."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tandem_operator.sizing.shape import ModelShape

from tests.hub_double import Commit, HubDouble, Refusal
from tests.sockets.s3_server import ACCESS, BUCKET, SECRET, S3Server

COMMAND = [sys.executable, "-c", "from tandem_operator.cli import main; raise SystemExit(main())", "inspect"]
CONFIG = {
    "model_type": "qwen3",
    "num_hidden_layers": 4,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 1000,
    "max_position_embeddings": 4096,
}
FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors.index.json": json.dumps({"metadata": {"total_size": 1_000_000}, "weight_map": {}}).encode(),
    "tokenizer.json": b"{}",
}
SOURCE = "hf://org/model@v1"


class Inspections:
    """Runs the command; its termination message is what the operator reads."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "termination-log"

    def __call__(self, source: str, **variables: str) -> tuple[int, dict[str, Any]]:
        """The exit code, and what was said."""
        self._log.touch()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "AWS_"))}
        run = subprocess.run(
            [*COMMAND, source],
            env={**kept, "TERMINATION_LOG": str(self._log), **variables},
            capture_output=True,
            timeout=60,
            check=False,
        )
        said = self._log.read_bytes()
        assert run.stdout == said + b"\n", run.stderr.decode()
        assert len(said) <= 4096
        return run.returncode, json.loads(said)


@pytest.fixture
def inspect(tmp_path: Path) -> Inspections:
    return Inspections(tmp_path)


def checked(ended: tuple[int, dict[str, Any]]) -> None:
    """It was this model, and the operator can read it."""
    code, said = ended
    assert code == 0, said
    shape = ModelShape.model_validate(said["shape"])
    assert (shape.weights, shape.layers, shape.kv_heads, shape.context) == (1_000_000, 4, 2, 4096)


def problem(ended: tuple[int, dict[str, Any]]) -> str:
    code, said = ended
    assert code == 1
    assert said.keys() == {"problem"}
    return str(said["problem"])


def test_a_folder(inspect: Inspections, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    assert "there is no config.json" in problem(inspect(str(folder)))
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    checked(inspect(str(folder)))
    (folder / "config.json").write_text("[" * 100_000)
    assert "config.json is no JSON" in problem(inspect(str(folder)))


def test_the_hub(inspect: Inspections, hub: HubDouble) -> None:
    hub.push("org/model", Commit(FILES), "v1")
    checked(inspect(SOURCE, HF_ENDPOINT=hub.url))
    assert "org/model has no revision v2" in problem(inspect("hf://org/model@v2", HF_ENDPOINT=hub.url))


def test_a_gated_model_is_opened_by_its_token(inspect: Inspections, hub: HubDouble) -> None:
    hub.push("org/model", Commit(FILES), "v1")
    hub.closed = Refusal(403, {"X-Error-Code": "GatedRepo"})
    told = problem(inspect(SOURCE, HF_ENDPOINT=hub.url, HF_TOKEN="hf_wrong"))
    assert "org/model is gated: accept its terms" in told
    assert "hf_wrong" not in told
    checked(inspect(SOURCE, HF_ENDPOINT=hub.url, HF_TOKEN=hub.token))


def test_a_hub_that_is_away(inspect: Inspections, hub: HubDouble) -> None:
    hub.push("org/model", Commit(FILES), "v1")
    hub.closed = Refusal(500)
    assert "the hub answers 500" in problem(inspect(SOURCE, HF_ENDPOINT=hub.url))
    hub.stop()
    assert "the hub cannot be reached" in problem(inspect(SOURCE, HF_ENDPOINT=hub.url))


def test_an_s3_store(inspect: Inspections, s3_server: S3Server) -> None:
    access = {
        "AWS_ENDPOINT_URL": s3_server.url,
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
    }
    store = s3_server.store()
    for name, content in FILES.items():
        store.put(f"inspected/model/{name}", content)
    checked(inspect(f"s3://{BUCKET}/inspected/model", **access))
    assert "there is no config.json" in problem(inspect(f"s3://{BUCKET}/inspected/other", **access))
    away = {**access, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    told = problem(inspect(f"s3://{BUCKET}/inspected/model", **away))
    assert told.startswith(f"s3://{BUCKET}/inspected/model cannot be read")
    assert SECRET not in told


def test_what_is_not_looked_at(inspect: Inspections) -> None:
    assert "is none of hf://, s3:// and a folder" in problem(inspect("pvc://claim/model"))
