"""/v1/vector_stores: documents that can be searched, as in OpenAI's API."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request

from tandem_orchestrator.api.access import BOTH, Admitted, Known
from tandem_orchestrator.api.bodies import FileChange, NewFile, NewFileBatch, NewStore, SearchBody, StoreChange
from tandem_orchestrator.api.json_body import StrictJson
from tandem_orchestrator.api.services import FromApp
from tandem_orchestrator.api.wanted import Bidirectional
from tandem_orchestrator.observability.record import record_of
from tandem_orchestrator.retrieval.question import question_of
from tandem_orchestrator.retrieval.store_files import FilePage

MOST_PIECES: Final = 2**31 - 1  # of a file; what databases number them with

router = APIRouter(
    prefix="/v1/vector_stores",
    tags=["vector stores"],
    route_class=StrictJson,
    dependencies=BOTH,
    responses={
        400: {"description": "A field cannot be used; `param` names it."},
        401: {"description": "The key is missing or wrong."},
        403: {"description": "The tenant has as many stores or pieces as it may."},
        404: {"description": "There is no such vector store, or no such file in it."},
        409: {"description": "The store is being made anew, or its vectors are of a model that is not there."},
        429: {"description": "A limit is used up."},
        503: {"description": "The database, or the model that makes vectors, does not answer."},
    },
)


def _listed(
    page: Bidirectional,
    status: Annotated[str, Query(alias="filter", description="in_progress, completed, failed or cancelled")] = "",
) -> FilePage:
    return FilePage(page, status)


Listed = Annotated[FilePage, Depends(_listed)]


@router.post("")
async def create(services: FromApp, principal: Known, body: NewStore = None) -> dict[str, Any]:
    """Make a vector store, of up to 500 files where `file_ids` are given."""
    return await services.retrieval.creation.create(principal.tenant, body or {})


@router.get("")
async def page(services: FromApp, principal: Known, wanted: Bidirectional) -> dict[str, Any]:
    """List vector stores, the newest first."""
    return await services.retrieval.stores.page(principal.tenant, wanted)


@router.get("/{store_id}")
async def store(store_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Show a vector store."""
    return await services.retrieval.stores.get(principal.tenant, store_id)


@router.post("/{store_id}")
async def update(store_id: str, services: FromApp, principal: Known, body: StoreChange) -> dict[str, Any]:
    """Change a vector store's name, metadata or expiry."""
    return await services.retrieval.stores.update(principal.tenant, store_id, body)


@router.delete("/{store_id}")
async def delete(store_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Delete a vector store and all that was made of its files; the files stay."""
    await services.retrieval.stores.delete(principal.tenant, store_id)
    return {"id": store_id, "object": "vector_store.deleted", "deleted": True}


@router.post("/{store_id}/search")
async def search(
    store_id: str, request: Request, services: FromApp, principal: Admitted, body: SearchBody
) -> dict[str, Any]:
    """Find the pieces of a vector store's files that answer one or several queries."""
    return await services.retrieval.answer(principal, record_of(request.scope), store_id, question_of(body))


@router.post("/{store_id}/reindex", status_code=202)
async def reindex(store_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Make a vector store's index anew, as the settings are now, and put it in its place once it is complete."""
    return await services.retrieval.creation.reindex(principal.tenant, store_id)


@router.post("/{store_id}/files")
async def attach(store_id: str, services: FromApp, principal: Known, body: NewFile) -> dict[str, Any]:
    """Attach a file, which is read in the background."""
    return await services.retrieval.files.attach(principal.tenant, store_id, body)


@router.get("/{store_id}/files")
async def files(store_id: str, services: FromApp, principal: Known, wanted: Listed) -> dict[str, Any]:
    """List a vector store's files, the newest first."""
    return await services.retrieval.files.page(principal.tenant, store_id, wanted)


@router.get("/{store_id}/files/{file_id}")
async def file(store_id: str, file_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Show a file of a vector store, and how far it is."""
    return await services.retrieval.files.get(principal.tenant, store_id, file_id)


@router.post("/{store_id}/files/{file_id}")
async def set_attributes(
    store_id: str, file_id: str, services: FromApp, principal: Known, body: FileChange
) -> dict[str, Any]:
    """Put other attributes in the place of a file's."""
    return await services.retrieval.files.update(principal.tenant, store_id, file_id, body)


@router.delete("/{store_id}/files/{file_id}")
async def detach(store_id: str, file_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Take a file out of a vector store; the file itself stays."""
    await services.retrieval.files.detach(principal.tenant, store_id, file_id)
    return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}


@router.get("/{store_id}/files/{file_id}/content")
async def content(
    store_id: str,
    file_id: str,
    services: FromApp,
    principal: Known,
    page: Annotated[int, Query(ge=-1, le=MOST_PIECES)] = -1,
) -> dict[str, Any]:
    """Show the texts of a file's pieces, from the one after number `page` on."""
    return await services.retrieval.files.content(principal.tenant, store_id, file_id, page)


@router.post("/{store_id}/file_batches")
async def create_batch(store_id: str, services: FromApp, principal: Known, body: NewFileBatch) -> dict[str, Any]:
    """Attach up to 2,000 files."""
    return await services.retrieval.files.attach_batch(principal.tenant, store_id, body)


@router.get("/{store_id}/file_batches/{batch_id}")
async def batch(store_id: str, batch_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """Show a batch of files, and how far it is."""
    return await services.retrieval.files.batch(principal.tenant, store_id, batch_id)


@router.post("/{store_id}/file_batches/{batch_id}/cancel")
async def cancel_batch(store_id: str, batch_id: str, services: FromApp, principal: Known) -> dict[str, Any]:
    """End what is not done of a batch."""
    return await services.retrieval.files.cancel_batch(principal.tenant, store_id, batch_id)


@router.get("/{store_id}/file_batches/{batch_id}/files")
async def batch_files(
    store_id: str, batch_id: str, services: FromApp, principal: Known, wanted: Listed
) -> dict[str, Any]:
    """List the files of a batch, the newest first."""
    await services.retrieval.files.batch(principal.tenant, store_id, batch_id)
    return await services.retrieval.files.page(principal.tenant, store_id, wanted, batch_id)
