import pytest
from tandem_orchestrator.tools.source import SourceError, reason


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            ValueError("Client error '401' for url 'https://mcp.example/sse?token=hush&x=1'\nFor more see …"),
            "ValueError: Client error '401' for url 'https://mcp.example/sse?…'\nFor more see …",
        ),
        (
            ExceptionGroup("", [OSError("no postgresql://me:hu/sh@db/x?password=hush")]),
            "OSError: no postgresql://…@db/x?…",
        ),
        (SourceError("https://api.example/v1?key=hush answered 403"), "https://api.example/v1?… answered 403"),
        (SourceError("what? no tools"), "what? no tools"),
        (ValueError("x" * 400), f"ValueError: {'x' * 400}"[:300]),
    ],
)
def test_why_a_source_is_away_is_told_without_secrets(error, told):
    assert reason(error) == told
