from array import array
from random import Random

import pytest
from tandem_orchestrator.retrieval.index.signs import candidates, nearest, packed, packed_ids


def _vector(*values: float) -> bytes:
    return array("f", values).tobytes()


def _block(first: int, *vectors: bytes) -> tuple[bytes, bytes]:
    return packed_ids([*range(first, first + len(vectors))]), packed(vectors)


def test_candidates_are_those_whose_signs_differ_least():
    blocks = [_block(1, _vector(1, 1, 1), _vector(-1, 1, 1)), _block(7, _vector(-1, -1, 1), _vector(-1, -1, -1))]
    assert set(candidates(blocks, _vector(1, 1, 1), 1)) == {1}
    assert set(candidates(blocks, _vector(1, 1, 1), 2)) == {1, 2}
    assert set(candidates(blocks, _vector(-1, -1, -1), 3)) == {2, 7, 8}
    assert set(candidates(blocks, _vector(1, 1, 1), 4)) == {1, 2, 7, 8}
    assert candidates([], _vector(1, 1, 1), 4) == []


@pytest.mark.parametrize("dimension", [1, 8, 63, 64, 65, 384, 1000])
def test_any_dimension(dimension):
    random = Random(dimension)
    vectors = [_vector(*(random.choice((-1, 1)) for _ in range(dimension))) for _ in range(50)]
    assert candidates([_block(0, *vectors)], vectors[17], 1)[0] in {
        n for n, v in enumerate(vectors) if v == vectors[17]
    }


def test_nearest_by_hand():
    rows = [(3, _vector(0, 2)), (1, _vector(3, 0)), (2, _vector(1, 1)), (4, _vector(0, 0))]
    found = nearest(rows, _vector(5, 0), 3)
    assert [id_ for id_, _ in found] == [1, 2, 3]
    assert [score for _, score in found] == pytest.approx([1, 0.5**0.5, 0])
    assert nearest([], _vector(1, 0), 3) == []
