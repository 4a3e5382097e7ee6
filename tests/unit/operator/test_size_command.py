"""`tandem-operator size` as people run it: on a folder, and on a hub."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from huggingface_hub import close_session, constants
from tandem_operator.cli import main

TANDEM_OPERATOR = str(Path(sys.executable).with_name("tandem-operator"))
CONFIG = {
    "num_hidden_layers": 64,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 5120,
    "vocab_size": 151_936,
    "max_position_embeddings": 40_960,
}
INDEX = {"metadata": {"total_size": 65_524_246_528}, "weight_map": {}}
NOWHERE = "http://127.0.0.1:9"
"""Port of the discard service, which nothing listens at."""


@dataclass
class Hub:
    """A hub whose files are elsewhere, as the real one's."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and X-Error-Code by repository, in place of files."""
    asked: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    """Path, Range and Authorization of each request."""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append((handler.path, handler.headers.get("Range"), handler.headers.get("Authorization")))
        repository, _, rest = handler.path.removeprefix("/").partition("/resolve/")
        if repository in self.answers:
            status, code = self.answers[repository]
            return self._send(handler, status, {"X-Error-Code": code})
        if handler.path.startswith("/elsewhere/"):
            return self._send(handler, 200, {}, self.files[handler.path.removeprefix("/elsewhere/")])
        name = f"{repository}/{rest.partition('/')[2]}"
        if name not in self.files:
            return self._send(handler, 404, {"X-Error-Code": "EntryNotFound"})
        return self._send(handler, 307, {"Location": f"/elsewhere/{name}"})

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Says nothing of clients that leave in the middle of a file."""

    def handle_error(self, *_: object) -> None:
        pass


def take_for_hub(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process ask there, which has read HF_ENDPOINT already."""
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that this process takes for the hub."""
    served = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}"
        take_for_hub(served.url, monkeypatch)
        yield served
        server.shutdown()
        thread.join()


def size(*arguments: str, hub: str = NOWHERE, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    settings = {
        "HF_ENDPOINT": hub,
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "",
        "NO_PROXY": "*",
    }
    return subprocess.run(
        [TANDEM_OPERATOR, "size", *arguments],
        env={**clean, **settings, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


Here = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Here]:
    """Run it in this process; return its exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tandem-operator", "size", *arguments])
        try:
            code = main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    yield run
    close_session()


def write(folder: Path, **files: Any) -> str:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(json.dumps(content))
    return str(folder)


def test_a_folder_is_sized_with_a_verdict_a_table_and_yaml(tmp_path: Path) -> None:
    model = write(tmp_path, config__json=CONFIG, model__safetensors__index__json=INDEX)
    result = size(model, "--gpu", "H100-80GB", "--context", "40960")
    assert (result.returncode, result.stderr) == (0, "")
    first, _, rest = result.stdout.partition("\n")
    assert first == f"{model} needs 2 × H100-80GB: tensor 2, maxModelLen 40960, 7 requests of that length at once"
    table, _, snippet = rest.rpartition("\n\n")
    assert "weights     30.51 GiB  61.02 GiB ÷ 2" in table
    expected = {"gpus": 2, "parallelism": {"tensor": 2}, "maxModelLen": 40_960}
    assert yaml.safe_load(snippet) == {"spec": {"engine": expected}}


def test_another_utilization_reaches_the_yaml(here: Here, tmp_path: Path) -> None:
    model = write(tmp_path, config__json=CONFIG, model__safetensors__index__json=INDEX)
    _, output, _ = here(model, "--gpu", "H100-80GB", "--utilization", "0.85", "--gpus", "8")
    assert "--gpu-memory-utilization=0.85" in output.rpartition("\n\n")[2]


def test_what_does_not_fit_exits_1_with_the_numbers(here: Here, tmp_path: Path) -> None:
    model = write(tmp_path, config__json=CONFIG, model__safetensors__index__json=INDEX)
    code, output, errors = here(model, "--gpu", "L4", "--gpus", "2")
    assert (code, output) == (1, "")
    assert "does not fit 2 × L4-24GB: of 20.24 GiB on each" in errors


def test_a_folder_that_tells_too_little_exits_1(here: Here, tmp_path: Path) -> None:
    code, _, errors = here(write(tmp_path, config__json=CONFIG), "--gpu", "L4")
    assert code == 1
    assert "the size of the weights is unknown" in errors


def test_a_file_that_cannot_be_read_exits_1_with_its_path(here: Here, tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    code, _, errors = here(str(tmp_path), "--gpu", "L4")
    assert code == 1
    assert f"{tmp_path}/config.json: Is a directory" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model", "--gpu", "L4"], "model is neither a folder nor hf://org/name[@revision]"),
        (["s3://bucket/model", "--gpu", "L4"], "for models elsewhere, give a folder with config.json"),
        (["org/name"], "--gpu"),
        (["org/name", "--gpu", "Foo"], "the memory of GPU 'Foo' is unknown"),
        (["org/name", "--gpu", "L4", "--context", "0"], "0 is no whole number from 1 to"),
        (["org/name", "--gpu", "L4", "--gpus", "65"], "65 is no whole number from 1 to 64"),
        (["org/name", "--gpu", "L4", "--utilization", "1.1"], "1.1 is no share"),
        (["org/name", "--gpu", "L4", "--utilization", "nan"], "nan is no share"),
    ],
)
def test_wrong_usage_exits_2(here: Here, arguments: list[str], message: str) -> None:
    code, output, errors = here(*arguments)
    assert (code, output) == (2, "")
    assert message in errors


def test_a_model_on_the_hub_is_read_through_redirects(hub: Hub) -> None:
    hub.files = {
        "org/name/config.json": json.dumps(CONFIG).encode(),
        "org/name/model.safetensors.index.json": json.dumps(INDEX).encode(),
    }
    result = size("hf://org/name@v1", "--gpu", "H100", hub=hub.url, HF_TOKEN="hf_secret")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("org/name needs 1 × H100-80GB")
    assert "Note: the hub" not in result.stdout
    path, _, authorization = hub.asked[0]
    assert (path, authorization) == ("/org/name/resolve/v1/config.json", "Bearer hf_secret")


def test_of_a_file_of_weights_on_the_hub_the_header_alone_is_read(hub: Hub, here: Here) -> None:
    header = json.dumps({"x": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 65_524_246_528]}}).encode()
    hub.files = {
        "org/name/config.json": json.dumps(CONFIG).encode(),
        "org/name/model.safetensors": len(header).to_bytes(8, "little") + header + bytes(4 * 2**20),
    }
    code, _, errors = here("org/name", "--gpu", "H100", "--revision", "dev")
    assert (code, errors) == (0, "")
    ranges = [asked for path, asked, _ in hub.asked if path == "/org/name/resolve/dev/model.safetensors"]
    assert ranges == ["bytes=0-7", f"bytes=0-{7 + len(header)}"]


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "GatedRepo", "is gated: accept its terms on the hub, and set HF_TOKEN"),
        (401, "GatedRepo", "is gated: accept its terms on the hub, and set HF_TOKEN"),
        (401, "RepoNotFound", "is not on the hub, or private: check the name, or set HF_TOKEN"),
        (404, "RepoNotFound", "is not on the hub, or private"),
        (404, "RevisionNotFound", "has no revision v9"),
        (403, "", "the hub refuses org/name (403): check HF_TOKEN"),
        (500, "", "the hub answers 500, and the model is none of those that Tandem knows"),
    ],
)
def test_what_the_hub_withholds_is_told_as_such(hub: Hub, here: Here, status: int, code: str, message: str) -> None:
    hub.answers = {"org/name": (status, code)}
    ended, output, errors = here("hf://org/name@v9", "--gpu", "L4")
    assert (ended, output) == (1, "")
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_a_well_known_model_needs_no_hub() -> None:
    result = size("Qwen/Qwen3-32B", "--gpu", "H100")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("Qwen/Qwen3-32B needs 1 × H100-80GB")
    assert "Note: the hub cannot be reached" in result.stdout
    assert "These are the figures that Tandem knows of this model" in result.stdout


def test_a_well_known_gated_model_is_sized_and_said_to_be_gated(hub: Hub, here: Here) -> None:
    hub.answers = {"meta-llama/Llama-3.1-8B-Instruct": (403, "GatedRepo")}
    code, output, _ = here("meta-llama/Llama-3.1-8B-Instruct", "--gpu", "H100")
    assert code == 0
    assert "is gated" in output


def test_an_unknown_model_without_a_hub_exits_1_with_what_to_do(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    take_for_hub(NOWHERE, monkeypatch)
    code, _, errors = here("org/name", "--gpu", "H100")
    assert code == 1
    assert "set HF_ENDPOINT to a hub that answers, or give a folder with config.json" in errors
