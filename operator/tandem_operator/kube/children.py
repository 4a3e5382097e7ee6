"""Applying, pruning and keying the children of one service."""

import logging
import secrets
from base64 import b64encode
from collections.abc import Collection, Iterable, Sequence
from http import HTTPStatus
from typing import Final

from tandem_contract import names

from tandem_operator.api.component import Reference
from tandem_operator.api.text import listed
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.contests import Contests
from tandem_operator.kube.difference import MANAGER, Difference, Write, differences, next_write
from tandem_operator.kube.resources import BY_KIND, CLAIM, LLM_SERVICE, Object, controlled_by
from tandem_operator.kube.store import Key, Store, reference

KEY_MANAGER: Final = "tandem-operator-key"
_KEY_BYTES: Final = 32
_ROTATION: Final = "tandem.dev/rotated-for"
"""Annotation of the Secret."""
_MOST_WRITES: Final = 4
_OF_NOTHING: Final = "1"
"""A resourceVersion that no object has: an apply that names it creates, and conflicts with what is there."""

logger = logging.getLogger(__name__)


class NameTakenError(Exception):
    """An object of a child's name exists and belongs to somebody else; `terminal` unless it is about to go."""

    def __init__(self, taken: Object, owner: str = "", *, terminal: bool = True) -> None:
        self.terminal = terminal
        kind, name = reference(taken)
        whose = f"belongs to the LLMService {owner}" if owner else "does not belong to this LLMService"
        remedy = "rename one of them" if terminal else "waiting until Kubernetes has deleted it"
        super().__init__(f"{kind} {name} exists and {whose}; {remedy}")


class Children:
    """The children of one service, as seen and as written."""

    def __init__(self, api: Api, store: Store, contests: Contests, key: Key, owner_uid: str) -> None:
        self._api = api
        self._store = store
        self._contests = contests
        self._key = key
        self._uid = owner_uid
        self._looked_up: dict[Reference, Object | None] = {}
        self._is_wanted = False

    def known(self, wanted: Object) -> Object | None:
        """Return the object of a child's kind and name, as the watches show it."""
        return self._store.children(self._key).get(reference(wanted))

    async def find(self, wanted: Object) -> Object | None:
        """Return a child that exists already, also one that the watches do not show as it lacks our label.

        NameTakenError: the name belongs to an object that this service does not control.
        """
        live = self.known(wanted)
        if live is None:
            where = reference(wanted)
            if where not in self._looked_up:
                self._looked_up[where] = await self._get(wanted)
            live = self._looked_up[where]
        if live and not controlled_by(live, self._uid):
            raise self._taken(live)
        return live

    async def apply(self, wanted: Object, floor: int | None = None) -> Object:
        """Bring one child to what is wanted, without a call when it is there already, and return it.

        NameTakenError: the name belongs to an object that this service does not control.
        """
        live = await self.find(wanted)
        for _ in range(_MOST_WRITES):
            write = next_write(wanted, live, floor)
            self._contests.settle(self._key, reference(wanted), write.corrects if write else ())
            if write is None or self._contests.holds(self._key, write):
                break
            live = self._remember(await self._write(write, live))
            if write.manager == MANAGER:
                self._note(write, differences(live, write.manifest))
        if live is None:
            raise AssertionError("a child that does not exist has always something to write")
        return live

    async def apply_with_key(self, secret: Object, rotation: str) -> Object:
        """Apply a Secret and, if it has no key, put a new random one there; of two writers one fails.

        The same where it was asked for, by another `rotation` than last; the key before stays beside it.
        """
        live = await self.apply(secret)
        former = (live.get("data") or {}).get(names.ENGINE_KEY)
        if former and rotation == _rotation(live):
            return live
        fresh = {names.ENGINE_KEY: b64encode(secrets.token_urlsafe(_KEY_BYTES).encode()).decode()}
        kept = {names.PREVIOUS_ENGINE_KEY: former} if former else {}
        return await self._write_keys(live, {**fresh, **kept}, rotation)

    async def forget_previous_key(self, secret: Object) -> None:
        """Take the key away that came before, which nobody asks for any more."""
        live = self.known(secret)
        if live and names.PREVIOUS_ENGINE_KEY in (data := live.get("data") or {}):
            await self._write_keys(live, {names.ENGINE_KEY: data[names.ENGINE_KEY]}, _rotation(live))

    async def _write_keys(self, live: Object, data: Object, rotation: str) -> Object:
        metadata = {name: live["metadata"][name] for name in ("name", "namespace", "resourceVersion")}
        if rotation:
            metadata["annotations"] = {_ROTATION: rotation}
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
        return self._remember(await self._api.apply(manifest, KEY_MANAGER))

    async def make(self, manifest: Object, former: Object | None) -> None:
        """Create a child that is never changed, in the place of a former one."""
        await self._confirm_owner()
        if former:
            await self._api.delete(former)
        self._remember(await self._api.create(manifest))

    async def prune(self, wanted: Collection[Reference]) -> None:
        """Delete the children that are no longer wanted, but no claim: what it holds goes with the service alone."""
        for found, item in self._owned():
            if found not in wanted and found.kind != CLAIM.kind:
                await self._api.delete(item)
                self._store.drop(item)
        self._contests.keep(self._key, wanted)

    def _owned(self) -> Iterable[tuple[Reference, Object]]:
        return [
            (found, item)
            for found, item in self._store.children(self._key).items()
            if controlled_by(item, self._uid) and "deletionTimestamp" not in item["metadata"]
        ]

    def _taken(self, item: Object) -> NameTakenError:
        """Tell whose an object is; with an LLMService that is gone, or about to go, it goes as well."""
        owners = item["metadata"].get("ownerReferences") or []
        for owner in owners:
            if owner["kind"] == LLM_SERVICE.kind and owner["uid"] != self._uid:
                found = self._store.service(Key(self._key.namespace, owner["name"]))
                metadata = found["metadata"] if found else {}
                lives = metadata.get("uid") == owner["uid"] and "deletionTimestamp" not in metadata
                return NameTakenError(item, owner["name"], terminal=lives)
        return NameTakenError(item)

    async def _write(self, write: Write, live: Object | None) -> Object:
        """Write to this very object or, where there was none, to none: an apply alone would take over any."""
        await self._confirm_owner()
        if live and live.get("immutable") and "data" in write.manifest:
            await self._api.delete(live)  # a ConfigMap that cannot be changed can be made anew
            live = None
        manifest = write.patch() if live and write.removes else write.manifest
        this = {"uid": live["metadata"]["uid"]} if live else {"resourceVersion": _OF_NOTHING}
        manifest = {**manifest, "metadata": {**manifest["metadata"], **this}}
        if live and write.removes:
            return await self._api.overwrite(manifest, write.manager)
        return await self._api.apply(manifest, write.manager)

    def _note(self, write: Write, left: Sequence[Difference]) -> None:
        """Remember what a write has put right, and what is `left`: what the API server made of it otherwise."""
        self._contests.note(self._key, write, left)
        what = f"{self._key.namespace}/{self._key.name} {' '.join(reference(write.manifest))}"
        if write.drift:
            logger.info("%s put right: %s", what, _told(write.corrects))
        if left:
            logger.warning("%s is changed by the API server while it is written: %s", what, _told(left))

    async def _confirm_owner(self) -> None:
        """Ask before the first write whether the service is still there: what is known of it may be of the past.

        ApiError: it is not, or another has its name; the store has been told.
        """
        if self._is_wanted:
            return
        owner = await self._api.get(LLM_SERVICE, *self._key)
        self._is_wanted = bool(
            owner and owner["metadata"]["uid"] == self._uid and "deletionTimestamp" not in owner["metadata"]
        )
        if not self._is_wanted:
            if known := self._store.service(self._key):
                self._store.drop(known)
            if owner:
                self._store.put(owner)
            raise ApiError(HTTPStatus.CONFLICT, "the LLMService has been deleted")

    async def _get(self, wanted: Object) -> Object | None:
        metadata = wanted["metadata"]
        return await self._api.get(BY_KIND[wanted["kind"]], metadata["namespace"], metadata["name"])

    def _remember(self, item: Object) -> Object:
        self._store.put(item)
        return item


def _rotation(secret: Object) -> str:
    """Return for what the key was made; empty for the first one."""
    return str((secret["metadata"].get("annotations") or {}).get(_ROTATION, ""))


def _told(differences: Sequence[Difference]) -> str:
    return listed([f"{difference} ({difference.manager or 'nobody'})" for difference in differences])
