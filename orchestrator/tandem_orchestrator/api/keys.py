"""/admin/keys: makes, lists and revokes the keys in the database."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, Security
from pydantic import BaseModel, ConfigDict, StringConstraints

from tandem_orchestrator.api.access import BEARER
from tandem_orchestrator.api.json_body import Handler, StrictJson
from tandem_orchestrator.api.services import FromApp, Services
from tandem_orchestrator.auth.issuing import issue
from tandem_orchestrator.auth.stored_key import StoredKey
from tandem_orchestrator.auth.stored_keys import key_rows
from tandem_orchestrator.auth.terms import Label, NewTerms, Terms
from tandem_orchestrator.errors import NotFound

KeyId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]*$", max_length=64)]


class ForAdmins(StrictJson):
    """Asks for the admin key before anything of the request is looked at."""

    def get_route_handler(self) -> Handler:
        """Return what answers the request."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            services: Services = request.app.state.services
            services.keys.check_admin(request.headers.raw)
            return await handle(request)

        return guarded


router = APIRouter(
    prefix="/admin/keys",
    tags=["keys"],
    route_class=ForAdmins,
    dependencies=[Security(BEARER)],
    responses={
        400: {"description": "The body is not JSON."},
        401: {"description": "The admin key is missing or wrong."},
        403: {"description": "The key is not the admin key."},
        404: {"description": "There is no such key, or no admin API here."},
        422: {"description": "A field is wrong; `param` names it."},
        503: {"description": "The database does not answer."},
    },
)


class ShownKey(Terms):
    """A key without its secret."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)

    id: str
    prefix: str
    """The key's first characters."""
    tenant: str
    created: datetime
    revoked: datetime | None


class IssuedKey(ShownKey):
    """A new key."""

    key: str
    """The key itself, which is never shown again."""


class KeyPage(BaseModel):
    """Some keys, the oldest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    keys: list[ShownKey]
    next: str | None
    """What to ask for as `after` to see the keys that follow; null on the last page."""


@router.post("", status_code=201)
async def create(terms: NewTerms, services: FromApp) -> IssuedKey:
    """Make a key. It counts here at once, and within two seconds elsewhere."""
    key, stored = issue(terms, datetime.now(UTC))
    async with key_rows(services.keys.database) as rows:
        await rows.add(stored)
    await services.keys.refresh()
    return IssuedKey(key=key, **asdict(stored))


@router.get("")
async def keys(
    services: FromApp,
    tenant: Label | None = None,
    after: KeyId = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> KeyPage:
    """List keys, revoked ones too."""
    async with key_rows(services.keys.database) as rows:
        found = await rows.page(tenant, after, limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return KeyPage(keys=[ShownKey.model_validate(key) for key in found[:limit]], next=following)


@router.get("/{key_id}")
async def key(key_id: KeyId, services: FromApp) -> ShownKey:
    """Show one key."""
    async with key_rows(services.keys.database) as rows:
        return _shown(key_id, await rows.get(key_id))


@router.patch("/{key_id}")
async def change(key_id: KeyId, terms: Terms, services: FromApp) -> ShownKey:
    """Change what the request names; null takes a limit away."""
    async with key_rows(services.keys.database) as rows:
        changed = await rows.change(key_id, terms.model_dump(exclude_unset=True))
    await services.keys.refresh()
    return _shown(key_id, changed)


@router.delete("/{key_id}")
async def revoke(key_id: KeyId, services: FromApp) -> ShownKey:
    """Revoke a key for good. It ends here at once, and within two seconds elsewhere."""
    async with key_rows(services.keys.database) as rows:
        revoked = await rows.revoke(key_id, datetime.now(UTC))
    await services.keys.refresh()
    return _shown(key_id, revoked)


def _shown(key_id: str, key: StoredKey | None) -> ShownKey:
    if key is None:
        raise NotFound(f"there is no key {key_id!r} in the database")
    return ShownKey.model_validate(key)
