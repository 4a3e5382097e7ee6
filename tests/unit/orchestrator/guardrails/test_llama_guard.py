import pytest
from tandem_orchestrator.errors import Malformed
from tandem_orchestrator.guardrails.llama_guard import CATEGORIES_OF, read


@pytest.mark.parametrize(
    ("said", "flagged", "categories"),
    [
        ("safe", False, ()),
        ("\n\nsafe \n", False, ()),
        ("unsafe", True, ()),
        ("\n\nunsafe\nS1", True, ("violence", "illicit/violent")),
        ("unsafe\r\nS10, S4", True, ("hate", "sexual/minors")),
        ("unsafe\nS15,<script>", True, ("S15",)),
        ("unsafe\n" + ",".join(CATEGORIES_OF), True, tuple(name for names in CATEGORIES_OF.values() for name in names)),
    ],
)
def test_verdicts(said, flagged, categories):
    assert read(said) == (flagged, categories)


@pytest.mark.parametrize("said", [None, "", 7, [], "safe\nS1", "Safe?", "This is safe", "safe unsafe", "unsafe: S1"])
def test_anything_else_is_no_verdict(said):
    with pytest.raises(Malformed):
        read(said)
