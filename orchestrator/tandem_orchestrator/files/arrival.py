"""Keeps the file in a form while it arrives."""

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.files.blobs import Blob, Blobs, Bound
from tandem_orchestrator.files.form import Form
from tandem_orchestrator.files.terms import checked_purpose

EXPIRES: Final = "expires_after["
PURPOSE: Final = "purpose"


class Arrived(NamedTuple):
    """What was in a form."""

    blob: Blob
    """Kept already; a row has to follow."""
    filename: str
    texts: Mapping[str, str]
    """The other fields."""

    @property
    def expires_after(self) -> dict[str, Any] | None:
        """What the fields `expires_after[anchor]` and `expires_after[seconds]` say."""
        names = [name for name in self.texts if name.startswith(EXPIRES)]
        return {name.removeprefix(EXPIRES).removesuffix("]"): self.texts[name] for name in names} or None


async def arrived(form: Form, blobs: Blobs, tenant: str, bound: Bound) -> Arrived:
    """Keep what a form has in its one field that may be large, wherever in it that is.

    Raises `BadRequest`, and what `Blobs.write` raises; nothing is kept then.
    """
    blob: Blob | None = None
    filename, texts = "", dict[str, str]()
    try:
        async for field in form.fields():
            _check_new(field.name, [*texts, form.content] if blob is not None else texts)
            if field.name == form.content:
                if PURPOSE in texts:  # before many bytes are read for nothing
                    checked_purpose(texts[PURPOSE])
                filename = field.filename or ""
                blob = await blobs.write(tenant, form.chunks(), bound)
            else:
                texts[field.name] = await form.text()
        return Arrived(_whole(blob, form.content), filename, texts)
    except BaseException:
        if blob is not None:
            await blobs.drop(blob.key)
        raise


def _check_new(name: str, names: Collection[str]) -> None:
    if name in names:
        raise BadRequest(f"the form has `{name[:64]}` twice", param=name[:64], code="invalid_form")


def _whole(blob: Blob | None, content: str) -> Blob:
    if blob is None:
        raise BadRequest(f"`{content}` is missing in the form", param=content)
    if not blob.bytes:
        raise BadRequest(f"`{content}` is empty", param=content, code="empty_file")
    return blob
