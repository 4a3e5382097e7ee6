"""Text that anybody may have written, as Kubernetes admits it."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tandem_operator.api.schema import crd
from tandem_operator.api.status import Condition
from tandem_operator.api.text import listed

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
(VERSION,) = crd()["spec"]["versions"]
LIMITS = VERSION["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["conditions"]["items"]["properties"]


def condition(reason: str, message: str) -> Condition:
    rest: dict[str, Any] = {"type": "Ready", "status": "False", "lastTransitionTime": "", "observedGeneration": 1}
    return Condition.model_validate({**rest, "reason": reason, "message": message})


@settings(max_examples=50, deadline=None)
@given(ANY_TEXT, ANY_TEXT, st.integers(1, 2000))
def test_any_text_can_be_a_condition_s(reason: str, message: str, times: int) -> None:
    made = condition(reason * times, message * times)
    assert re.search(LIMITS["reason"]["pattern"], made.reason)
    assert len(made.reason) <= LIMITS["reason"]["maxLength"]
    assert len(made.message) <= LIMITS["message"]["maxLength"]
    assert made.message.isprintable()
    assert condition(made.reason, made.message) == made


def test_what_fits_stays() -> None:
    made = condition("Evicted_1,2:x", "Jürgen's node is low: 10 % of /var 🙈")
    assert (made.reason, made.message) == ("Evicted_1,2:x", "Jürgen's node is low: 10 % of /var 🙈")


def test_of_many_texts_the_first_are_listed() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefgh")) == "a, b, c, d, e, f, g, h"
    assert listed(list("abcdefghij")) == "a, b, c, d, e, f, g, h and 2 more"
