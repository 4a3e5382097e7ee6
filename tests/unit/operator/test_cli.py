"""`tandem-operator render` and `crd` as people run them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tandem_operator.api.schema import crd
from tandem_operator.cli import main

GOOD = """
apiVersion: tandem.dev/v1alpha1
kind: LLMService
metadata: {name: good}
spec: {model: {source: "hf://org/model"}}
"""


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["tandem-operator", *arguments])
    return main()


def test_crd_prints_the_definition(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "crd") == 0
    printed = capsys.readouterr().out
    assert yaml.safe_load(printed) == crd()
    assert "&id" not in printed


def test_render_prints_the_children_of_every_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    several = tmp_path / "several.yaml"
    several.write_text(f"{GOOD}---\nkind: ConfigMap\n---\n{GOOD.replace('name: good', 'name: other')}---\n")
    assert run(monkeypatch, "render", str(several)) == 0
    output = capsys.readouterr()
    names = {item["metadata"]["name"] for item in yaml.safe_load_all(output.out)}
    assert {"good-engine", "other-engine"} <= names
    assert "document 2: ConfigMap is no LLMService; skipped" in output.err


def test_render_assumes_the_capabilities_that_it_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    run(monkeypatch, "render", str(file))
    assert "ServiceMonitor" not in capsys.readouterr().out
    run(monkeypatch, "render", str(file), "--capabilities", "monitoring.coreos.com/v1/ServiceMonitor")
    assert capsys.readouterr().out.count("kind: ServiceMonitor") == 2


def test_render_refuses_an_argument_that_the_images_release_lacks_and_renders_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "several.yaml"
    older = 'engine: {image: "docker.io/vllm/vllm-openai:v0.12.0", extraArgs: [--moe-backend=x]}}'
    file.write_text(f"{GOOD}---\n" + GOOD.replace("name: good", "name: old").replace("}}", f"}}, {older}"))
    assert run(monkeypatch, "render", str(file)) == 1
    output = capsys.readouterr()
    assert "old: spec.engine.extraArgs: --moe-backend is not in vLLM v0.12.0; it came with v0.17.1" in output.err
    assert "name: good-engine" in output.out
    assert "name: old-engine" not in output.out


def test_render_takes_images_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    monkeypatch.setenv("TANDEM_ORCHESTRATOR_IMAGE", "mirror/orchestrator:1")
    monkeypatch.setenv("TANDEM_ENGINE_NVIDIA_IMAGE", "mirror/vllm:1")
    run(monkeypatch, "render", str(file))
    printed = capsys.readouterr().out
    assert "image: mirror/orchestrator:1" in printed
    assert "image: mirror/vllm:1" in printed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("hf://org/model", "org"), "document 1: spec.model: model.source must begin with hf://"),
        (GOOD.replace("spec: {", "spec: {enigne: {}, "), "document 1: spec.enigne: Extra inputs are not permitted"),
        (GOOD.replace("v1alpha1", "v9"), "document 1: apiVersion: "),
        ("a: [", "bad.yaml: while parsing"),
    ],
)
def test_render_names_file_and_field_of_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, says: str
) -> None:
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text(text)
    good.write_text(GOOD)
    assert run(monkeypatch, "render", str(bad), str(good)) == 1
    output = capsys.readouterr()
    assert str(bad) in output.err
    assert says in output.err
    assert "good-engine" in output.out, "the other files are rendered all the same"


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "render", "nowhere.yaml") == 1
    assert "nowhere.yaml" in capsys.readouterr().err


def test_leader_election_needs_a_namespace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    monkeypatch.setattr("kopf.configure", lambda **_: None)  # whose handler of logs would outlive the test
    assert run(monkeypatch, "run", "--leader-elect") == 2
    assert "--lease-namespace" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [("render {file}", ""), ("render {file}", "1"), ("render {file} nowhere.yaml", ""), ("crd", ""), ("--help", "")],
)
def test_it_ends_like_any_program_when_the_reader_of_its_output_goes(
    arguments: str, unbuffered: str, tmp_path: Path
) -> None:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    program = "from tandem_operator.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, *arguments.format(file=file).split()]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            command, env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    finally:
        os.close(writer)
    assert ended.returncode == -signal.SIGPIPE
    assert "Traceback" not in ended.stderr
    assert "BrokenPipe" not in ended.stderr
