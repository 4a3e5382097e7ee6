"""/v1/uploads: files that come in parts, as in OpenAI's API."""

from typing import Any, Final

from fastapi import APIRouter, Request

from tandem_orchestrator.api.access import BOTH, Known
from tandem_orchestrator.api.bodies import NewUpload, UploadEnd
from tandem_orchestrator.api.form_body import described, form_of
from tandem_orchestrator.api.json_body import StrictJson
from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.files.arrival import arrived
from tandem_orchestrator.files.terms import checked

CONTENT: Final = "data"

router = APIRouter(
    prefix="/v1/uploads",
    tags=["uploads"],
    route_class=StrictJson,
    dependencies=BOTH,
    responses={
        400: {"description": "The request cannot be used, or the upload has ended."},
        401: {"description": "The key is missing or wrong."},
        403: {"description": "The tenant keeps as much as it may."},
        404: {"description": "There is no such upload."},
        413: {"description": "The file, or the part, is too large."},
        503: {"description": "The database, or what keeps the bytes, does not answer, or nothing keeps files here."},
        507: {"description": "There is no room left."},
    },
)


@router.post("")
async def create(services: FromApp, principal: Known, body: NewUpload) -> dict[str, Any]:
    """Begin an upload of `bytes` bytes, which ends in an hour."""
    size, filename, kind = (body.get(name) for name in ("bytes", "filename", "mime_type"))
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise BadRequest("`bytes` must be the number of bytes that will come", param="bytes")
    for name, value in (("filename", filename), ("mime_type", kind)):
        if not isinstance(value, str) or not value:
            raise BadRequest(f"`{name}` must be a text, and not empty", param=name)
    terms = checked(str(filename), body.get("purpose"), body.get("expires_after"))
    return await services.filing.uploads.create(principal.tenant, terms, size)


@router.post("/{upload_id}/parts", openapi_extra=described(CONTENT))
async def add_part(upload_id: str, request: Request, services: FromApp, principal: Known) -> dict[str, Any]:
    """Add a part of up to 64 MB to an upload."""
    filing, tenant = services.filing, principal.tenant
    with filing.files.arrival():
        bound = await filing.uploads.bound(tenant, upload_id)
        form = form_of(request, services, CONTENT, bound)
        found = await arrived(form, filing.files.blobs, tenant, bound)
        return await filing.uploads.add_part(tenant, upload_id, found.blob)


@router.post("/{upload_id}/complete")
async def complete(upload_id: str, services: FromApp, principal: Known, body: UploadEnd) -> dict[str, Any]:
    """Make a file of an upload's parts, in the order of `part_ids`."""
    return await services.filing.uploads.complete(principal.tenant, upload_id, body.get("part_ids"), body.get("md5"))


@router.post("/{upload_id}/cancel")
async def cancel(upload_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """End an upload, and forget its parts."""
    return await services.filing.uploads.cancel(principal.tenant, upload_id)
