import base64
import math
from array import array

import pytest
from tandem_orchestrator.errors import WrongVectors
from tandem_orchestrator.retrieval.embedding.vector import (
    dimension,
    numbers,
    of_answer,
    of_bytes,
    of_numbers,
    similarity,
)


def encoded(values):
    return base64.b64encode(array("f", values).tobytes()).decode()


@pytest.mark.parametrize("form", [list, encoded])
def test_vectors_have_the_length_one_whatever_was_answered(form):
    vector = of_answer(form([3.0, 0.0, -4.0]))
    assert dimension(vector) == 3
    assert numbers(vector) == pytest.approx((0.6, 0, -0.8))


def test_what_has_the_length_one_stays_as_it_is():
    raw = array("f", [0.6, 0.8]).tobytes()
    assert of_bytes(raw) is raw


def test_whole_numbers_are_numbers():
    assert numbers(of_numbers([0, 2])) == (0, 1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([0.0, 0.0], "zero"),
        ([], "empty"),
        (encoded([]), "empty"),
        (encoded([1.0, math.nan]), "none, or infinite"),
        (encoded([1.0, -math.inf]), "none, or infinite"),
        ([1e300, 1.0], "numbers"),
        ([1.0, "2"], "numbers"),
        ([1.0, None], "numbers"),
        ([[1.0, 2.0]], "numbers"),
        ("no base64!", "base64"),
        ("AAAA", "3 bytes"),
        (None, "neither"),
        ({"0": 1.0}, "neither"),
    ],
)
def test_what_is_no_vector_is_named(wrong, said):
    with pytest.raises(WrongVectors, match=said):
        of_answer(wrong)


def test_a_small_one_keeps_its_direction():
    assert numbers(of_numbers([3e-20, 4e-20])) == pytest.approx((0.6, 0.8))


def test_similarity():
    one, other = of_numbers([1.0, 0.0]), of_numbers([1.0, 1.0])
    assert similarity(one, one) == pytest.approx(1)
    assert similarity(one, other) == pytest.approx(0.5**0.5)
