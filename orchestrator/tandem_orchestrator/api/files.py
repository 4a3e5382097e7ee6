"""/v1/files: files that a tenant uploads, as in OpenAI's API."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tandem_orchestrator.api.access import BOTH, Known
from tandem_orchestrator.api.form_body import described, form_of
from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.files.arrival import arrived
from tandem_orchestrator.files.store import new_file
from tandem_orchestrator.files.stored_file import StoredFile
from tandem_orchestrator.files.terms import PURPOSES, SECONDS, checked
from tandem_orchestrator.store.page import Page, page_with

MOST_LISTED: Final = 10_000
CONTENT: Final = "file"
FIELDS: Final[dict[str, Any]] = {
    "purpose": {"type": "string", "enum": list(PURPOSES)},
    "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
    "expires_after[seconds]": {"type": "integer", "minimum": SECONDS.start, "maximum": SECONDS.stop - 1},
}

router = APIRouter(
    prefix="/v1/files",
    tags=["files"],
    dependencies=BOTH,
    responses={
        401: {"description": "The key is missing or wrong."},
        404: {"description": "There is no such file."},
        503: {"description": "The database, or what keeps the bytes, does not answer, or nothing keeps files here."},
    },
)


@router.post(
    "",
    openapi_extra=described(CONTENT, **FIELDS),
    responses={
        400: {"description": "The form cannot be read, or the file cannot have that purpose."},
        403: {"description": "The tenant keeps as much as it may."},
        408: {"description": "The file comes too slowly."},
        413: {"description": "The file is larger than `files.maxBytes`."},
        429: {"description": "Too many files arrive at once."},
        507: {"description": "There is no room left."},
    },
)
async def create(request: Request, services: FromApp, principal: Known) -> dict[str, Any]:
    """Upload a file."""
    files, tenant = services.filing.files, principal.tenant
    with files.arrival():
        bound = await files.room(tenant)
        form = form_of(request, services, CONTENT, bound)
        found = await arrived(form, files.blobs, tenant, bound)
        try:
            terms = checked(found.filename, found.texts.get("purpose"), found.expires_after)
        except BaseException:
            await files.blobs.drop(found.blob.key)
            raise
        file = await files.keep(found.blob, new_file(tenant, found.blob, terms))
    return file.document()


def _page(
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = MOST_LISTED,
    order: Literal["asc", "desc"] = "desc",
) -> Page:
    return Page(after, limit, order)


@router.get("")
async def files(
    services: FromApp, principal: Known, page: Annotated[Page, Depends(_page)], purpose: str = ""
) -> Response:
    """List the tenant's files, the newest first."""
    found, has_more = await services.filing.files.page(principal.tenant, purpose, page)
    return Response(await asyncio.to_thread(_rendered, found, has_more), media_type="application/json")


@router.get("/{file_id}")
async def file(file_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Show a file."""
    return (await services.filing.files.get(principal.tenant, file_id)).document()


@router.delete("/{file_id}")
async def delete(file_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Delete a file."""
    await services.filing.files.delete(principal.tenant, file_id)
    return {"id": file_id, "object": "file", "deleted": True}


@router.get("/{file_id}/content", response_class=Response)
async def content(file_id: str, services: FromApp, principal: Known) -> Response:
    """Return the bytes of a file. Where they are not those that were kept, the answer does not come to its end."""
    found = await services.filing.files.get(principal.tenant, file_id)
    chunks = services.filing.files.read_file(found)
    try:
        first = await anext(chunks, b"")  # so that what fails at once is answered as an error
    except BaseException:
        await chunks.aclose()
        raise
    return _Content(found, first, chunks)


class _Content(StreamingResponse):
    """The bytes of a file, let go of when its client leaves."""

    def __init__(self, file: StoredFile, first: bytes, chunks: AsyncGenerator[bytes]) -> None:
        self._file_chunks = chunks
        headers = {
            "content-length": str(file.bytes),
            "content-disposition": f"attachment; filename*=utf-8''{quote(file.filename, safe='')}",
            "x-content-type-options": "nosniff",
        }
        super().__init__(_from(first, chunks), headers=headers, media_type="application/octet-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        async with aclosing(self._file_chunks):
            await super().__call__(scope, receive, send)


async def _from(first: bytes, chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    if first:
        yield first
    async for chunk in chunks:
        yield chunk


def _rendered(found: list[StoredFile], has_more: bool) -> bytes:  # noqa: FBT001 # for a thread
    return orjson.dumps(page_with([file.document() for file in found], has_more=has_more))
