import pytest
from tandem_orchestrator.guardrails.found import Span
from tandem_orchestrator.guardrails.masking import masked


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], "0123456789"),
        ([(2, 4, "a")], "01[A]456789"),
        ([(6, 8, "b"), (2, 4, "a")], "01[A]45[B]89"),
        ([(2, 4, "a"), (4, 6, "b")], "01[A][B]6789"),
        ([(2, 6, "a"), (4, 8, "b"), (7, 9, "c")], "01[A]9"),
        ([(2, 4, "a"), (2, 6, "b")], "01[B]6789"),
        ([(0, 10, "email_address")], "[EMAIL_ADDRESS]"),
    ],
)
def test_spans_are_replaced_by_their_kinds(spans, expected):
    assert masked("0123456789", [Span(*span) for span in spans]) == expected
