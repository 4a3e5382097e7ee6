"""tandem-orchestrator check, and serve where it cannot."""

import os
import signal
import subprocess
import sys

import pytest
import yaml
from tandem_orchestrator.cli import main
from tandem_orchestrator.retrieval import extras
from tandem_orchestrator.retrieval.embedding import static_embedder
from tandem_orchestrator.retrieval.parsing import kinds


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in ("VLLM_URL", "MODEL_ID", "LOG_LEVEL", "TANDEM_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def test_check_lists_every_error(tmp_path, capsys):
    file = tmp_path / "config.yaml"
    file.write_text("tools: {maxRounds: 100, maxRoundz: 1}\nupstreams: [{name: e, url: nowhere}]\n")
    assert main(["check", "--config", str(file)]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == ["tools.maxRounds", "tools.maxRoundz", "upstreams.0.url"]


@pytest.mark.parametrize("verb", ["check", "serve"])
def test_without_an_engine_it_says_what_to_do(verb, capsys):
    assert main([verb]) == 1
    assert "set VLLM_URL" in capsys.readouterr().err


def test_check_accepts_an_engine_from_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("VLLM_URL", "http://engine:8000/v1")
    assert main(["check"]) == 0
    assert "http://engine:8000/v1" in capsys.readouterr().out


def test_check_says_what_it_would_do_and_what_looks_wrong(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TANDEM_TYPO", "1")
    file = tmp_path / "config.yaml"
    file.write_text("""
server: {workers: 4, metricsPort: 8002}
upstreams: [{name: main, url: "http://engine:8000", model: org/big, discovery: dns}]
models: [{name: org/big, aliases: [big], fallback: small, fallbackSeconds: 2}]
tools: {attach: always, enabled: [calculate_math]}
keys: {values: ["team:hush"], required: false}
rateLimits: {requestsPerMinute: 600, defaults: {tokensPerDay: 5}}
database: {url: "postgresql://me:hu/hush@db/keys?password=hush"}
redis: {url: "redis://:hush@redis:6379"}
retrieval: {embedding: {path: /no/such/model}}
tracing: {endpoint: "http://collector:4318"}
""")
    assert main(["check", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    told = {tuple(line.split(maxsplit=1)) for line in out.splitlines()[1:]}
    assert told >= {
        ("server", "http, 4 workers"),
        ("metrics", "at port 8002"),
        ("embedding", "by the model in /no/such/model, in the orchestrator itself"),
        ("engine", "main (vllm) at http://engine:8000, each address of its name a replica: org/big"),
        ("model", "org/big as big, falls back on small after 2 s"),
        ("tools", "calculate_math (always)"),
        ("keys", "1 key in the configuration; not required"),
        ("limits", "600 requests a minute, 5 tokens a day for each key"),
        ("database", "postgresql://***@db/keys"),
        ("redis", "redis://***@redis:6379"),
        ("traces", "http://collector:4318"),
        ("warning", "TANDEM_TYPO looks like a setting, but sets nothing"),
    }
    assert {line.partition(":")[0] for topic, line in told if topic == "warning" and ":" in line} == {
        "keys.required",
        "models.0.fallback",
        "retrieval.embedding.path",
    }
    assert "hush" not in out


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("", "in tandem-files, up to 536870912 bytes each"),
        ("files: {folder: /data/files, maxBytes: 9}", "in /data/files, up to 9 bytes each"),
        ('database: {url: "postgresql://db/tandem"}', "none are kept: set files.folder or files.s3"),
        (
            'files: {s3: {bucket: b, endpoint: "http://minio:9000", prefix: tandem/}}',
            "in the bucket b at http://minio:9000, below tandem/, up to 536870912 bytes each",
        ),
    ],
)
def test_check_says_where_files_are_kept(tmp_path, capsys, settings, told):
    file = tmp_path / "config.yaml"
    file.write_text(f'upstreams: [{{name: main, url: "http://engine:8000"}}]\n{settings}\n')
    main(["check", "--config", str(file)])
    assert f"files     {told}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("retrieval: {embedding: {model: minilm}}", ["warning", "note"]),
        ("", ["note"]),
        ("files: {enabled: false}\nretrieval: {embedding: {model: minilm}}", []),
        ('database: {url: "postgresql://db/tandem"}\nfiles: {folder: /data}', ["note"]),
        ('database: {url: "postgresql://db/tandem"}', []),
    ],
)
def test_check_says_what_files_and_stores_lack(tmp_path, capsys, monkeypatch, settings, told):
    monkeypatch.setitem(kinds.LIBRARIES, "pdf", "no_such_library")
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    file = tmp_path / "config.yaml"
    file.write_text(f'upstreams: [{{name: main, url: "http://engine:8000"}}]\n{settings}\n')
    assert main(["check", "--config", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    numpy = "warning   retrieval: vector stores on SQLite need NumPy: install tandem-orchestrator[sqlite-vectors]"
    pdf = (
        "note      pdf files are not read: tandem-orchestrator[documents] is not installed (no_such_library is missing)"
    )
    found = {"warning": any(line.startswith(numpy) for line in lines), "note": pdf in lines}
    assert [topic for topic, is_told in found.items() if is_told] == told


def test_check_says_what_a_static_model_needs(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(static_embedder, "NEEDED", ("numpy", "no_such_library"))
    file = tmp_path / "config.yaml"
    settings = "retrieval: {embedding: {path: /models/static}}"
    file.write_text(f'upstreams: [{{name: main, url: "http://engine:8000"}}]\n{settings}\n')
    assert main(["check", "--config", str(file)]) == 0
    told = "retrieval.embedding.path needs the extra tandem-orchestrator[embeddings]: no_such_library is not installed"
    assert f"warning   {told}" in capsys.readouterr().out.splitlines()


def test_check_tells_newer_names_and_what_sets_nothing(capsys, monkeypatch):
    for name, value in {"VLLM_BASE_URL": "http://engine", "REDIS_DEFAULT_TTL": "1", "ENABLE_METRICS": "false"}.items():
        monkeypatch.setenv(name, value)
    assert main(["check"]) == 0
    told = [tuple(line.split(maxsplit=1)) for line in capsys.readouterr().out.splitlines()]
    assert ("metrics", "none") in told
    assert ("note", "VLLM_BASE_URL is read as upstreams.0.url (VLLM_URL)") in told
    assert ("note", "ENABLE_METRICS is read as standalone.metrics (TANDEM_STANDALONE__METRICS)") in told
    assert [text.partition(" ")[0] for topic, text in told if topic == "warning"] == ["keys:", "REDIS_DEFAULT_TTL"]


def test_check_finds_what_only_the_parts_know(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VLLM_URL", "http://engine")
    (tmp_path / "pem").write_text("no certificate")
    file = tmp_path / "config.yaml"
    pem = {"file": str(tmp_path / "pem")}
    for settings, path in (
        ({"server": {"tls": {"certificate": pem, "key": pem}}}, "server.tls"),
        ({"tools": {"python": [{"name": "nowhere:nothing"}]}}, "tools.python.0"),
    ):
        file.write_text(yaml.safe_dump(settings))
        assert main(["check", "--config", str(file)]) == 1
        assert capsys.readouterr().err.startswith(f"{path}: ")


@pytest.mark.parametrize(("argument", "unbuffered"), [("check", ""), ("check", "1"), ("--help", "")])
def test_it_ends_like_any_program_when_the_reader_of_its_output_goes(argument, unbuffered, monkeypatch):
    monkeypatch.setenv("VLLM_URL", "http://engine:8000/v1")
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = [sys.executable, "-m", "tandem_orchestrator.cli", argument]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, "")
