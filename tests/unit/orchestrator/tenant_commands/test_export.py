"""How much of a tenant's rows is read at once."""

import pytest
from tandem_orchestrator.tenant_commands.export import spans


@pytest.mark.parametrize(
    ("sizes", "ends"),
    [
        ([], []),
        ([5], ["a"]),
        ([50], ["a"]),
        ([4, 6], ["b"]),
        ([4, 7], ["a", "b"]),
        ([50, 1, 50, 1, 1], ["a", "b", "c", "e"]),
        ([0, 0, 50], ["c"]),
    ],
)
def test_a_span_is_as_large_as_may_be_or_a_single_row(sizes, ends):
    assert list(spans(list(zip("abcde", sizes, strict=False)), 10)) == ends
