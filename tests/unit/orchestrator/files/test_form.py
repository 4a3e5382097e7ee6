"""The form's reader holds no more than a piece of the body, and gives the same fields however it is cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.files.form import Form

KIND = "multipart/form-data; boundary=b"
PIECE = 65_536


def field(name: str, value: bytes) -> bytes:
    return f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"


def form_of(*pieces: bytes) -> Form:
    left = iter(pieces)
    number = len(pieces)

    async def receive() -> tuple[bytes, bool]:
        nonlocal number
        number -= 1
        return next(left), number > 0

    return Form(KIND, "file", receive)


async def read(form: Form) -> list[tuple[str, bytes]]:
    return [(each.name, b"".join([chunk async for chunk in form.chunks()])) async for each in form.fields()]


async def test_100_mb_pass_without_being_held():
    most = 0
    begun, end = field("purpose", b"x") + field("file", b"")[:-2], b"\r\n--b--\r\n"
    pieces = itertools.chain([begun], itertools.repeat(b"\r\n--" * (PIECE // 4), 1600), [end])
    left = 1602

    async def receive() -> tuple[bytes, bool]:
        nonlocal left
        left -= 1
        return next(pieces), left > 0

    form, size = Form(KIND, "file", receive), 0
    async for each in form.fields():
        async for chunk in form.chunks():
            most = max(most, form.held + len(chunk))
            size += len(chunk) if each.name == "file" else 0
    assert size == 1600 * PIECE
    assert most <= PIECE + 100


@given(st.binary(max_size=200), st.lists(st.integers(0, 400), max_size=10))
async def test_wherever_it_is_cut(value, cuts):
    if b"\r\n--b" in b"\r\n" + value:
        value = b""
    body = field("a", b"1") + field("file", value) + field("c", b"3") + b"--b--\r\n"
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[start:end] for start, end in itertools.pairwise(edges)]
    assert await read(form_of(*pieces)) == [("a", b"1"), ("file", value), ("c", b"3")]


async def test_what_is_not_read_of_a_field_is_skipped():
    form = form_of(field("a", b"1" * 100), field("file", b"2" * 100), b"--b--")
    assert [each.name async for each in form.fields()] == ["a", "file"]


async def test_a_body_that_ends_too_soon():
    with pytest.raises(BadRequest, match="ends before"):
        await read(form_of(field("file", b"x")))
