"""How large patterns and grammars are once their repetitions are written out, in the larger of two readings."""

import pytest
from tandem_contract.repetition import DEEPEST, grammar_size, pattern_size

MOST = 10**6


@pytest.mark.parametrize(
    ("pattern", "least", "most"),
    [
        ("", 0, 0),
        ("abc", 3, 3),
        (r"^\d{4}-\d{2}-\d{2}$", 10, 16),
        (r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", 32, 60),
        (r"^(\+\d{1,3})?[\s.-]?\d{3,14}$", 17, 40),
        (r"\(a{3}\){1000}", 1_000, 1_020),  # the groups are characters
        (r"[(]{3}a{5}[)]{2}", 10, 20),
        ("(a{1,100}){1,50}", 5_000, 5_500),
        ("(a|bc){10}{10}", 300, 700),
        ("a{,300}", 300, 310),
        ("a{ 2 , 300 }", 300, 310),
        ("(?x)(a{50} # )\n){50}", 2_500, MOST),  # one dialect has comments, and another one a group's end there
        ("[]a{50}(]{50}", 2_500, MOST),  # a list of characters ends at its first bracket, or at its second
        ("[a[b{50}](c{50}){50}]", 2_500, MOST * 3),
        ("(" * 10 + "a{9}" + "){9}" * 10, MOST, MOST * 20),
        ("a{99999999999999999999}", MOST, MOST * 2),
        ("(" * (DEEPEST + 1), MOST, MOST * 2),
    ],
)
def test_patterns(pattern, least, most):
    assert least <= pattern_size(pattern, MOST) <= most


@pytest.mark.parametrize(
    ("grammar", "least", "most"),
    [
        ('root ::= "{1,1000}" item{3}\nitem ::= [a-z"]{10} | "(" root ")"', 13, 60),
        ('root ::= ("a"{1,1000}){1,1000}', MOST, MOST * 2),
        ('root ::= (\n"a"{100} # a quote: "\n){100}', 10_000, 20_000),
        ('root ::= (\n"a"{100} # a parenthesis: )\n){100}', 10_000, 20_000),
        ('start: "x" ~ 3..1000', 1_000, 1_010),
        ('start: /["](a{1,100}){1,100}["]/', 10_000, MOST * 2),  # a quote in Lark's pattern begins no text
    ],
)
def test_grammars(grammar, least, most):
    assert least <= grammar_size(grammar, MOST) <= most
