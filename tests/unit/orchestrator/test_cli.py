"""tandem-orchestrator check, and serve where it cannot."""

import pytest
from tandem_orchestrator.cli import main


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
