"""What the API server has, compared with what the watches have shown: news that they lost is found by it."""

import asyncio
import logging
from typing import Final, NamedTuple

from tandem_contract import names

from tandem_operator.kube import metrics
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.resources import BY_KIND, CHILDREN, LLM_SERVICE, POD, Object, Resource
from tandem_operator.kube.store import Key, Store, key_of, version

logger = logging.getLogger(__name__)

SELECTORS: Final[dict[Resource, str]] = {LLM_SERVICE: "", **dict.fromkeys((*CHILDREN, POD), names.LABEL_SERVICE)}
"""What is watched of each kind: a label selector."""
_GRACE: Final = 1.0
"""How long the watches have for news that are on their way when the lists are made."""


class Comparison(NamedTuple):
    """What the watches have missed."""

    concerned: set[Key]
    restored: bool
    """Whether an object was found as it had been before: watches of a restored store show nothing for long."""


async def compare(api: Api, store: Store, namespace: str | None) -> Comparison:
    """Bring the store to what one namespace has, or all of them, and return the services that this concerns.

    Only what did not change since the lists were begun is touched, so that a watch that is ahead of them stays so.
    ApiError: something could not be listed.
    """
    before = store.objects(namespace)
    gone, differing = dict(before), []
    for resource, selector in SELECTORS.items():
        async for item in api.list_metadata(resource, namespace, selector):
            uid = item["metadata"]["uid"]
            gone.pop(uid, None)
            known = before.get(uid)
            if key_of(item) and (known is None or version(item) != version(known)):
                differing.append(item)
    missed: list[Object] = []
    restored = False
    concerned: set[Key] = set()
    for item in gone.values():
        if store.get(item) is item:
            concerned |= store.drop(item)
            missed.append(item)
    if differing:
        await asyncio.sleep(_GRACE)
    for item in differing:
        known = before.get(item["metadata"]["uid"])
        if store.get(item) is known and (found := await _fetched(api, item)) and store.get(item) is known:
            restored |= known is not None and version(found) < version(known)
            concerned |= store.replace(found)
            missed.append(found)
    _tell(missed)
    return Comparison(concerned, restored)


async def _fetched(api: Api, listed: Object) -> Object | None:
    """Return the whole object; None where it is gone by now, or cannot be read, which must not stop the others."""
    try:
        return await api.get(BY_KIND[listed["kind"]], listed["metadata"]["namespace"], listed["metadata"]["name"])
    except ApiError as error:
        if not error.status:
            raise
        logger.warning("%s cannot be read: %s", _full_name(listed), error)
        return None


def _tell(missed: list[Object]) -> None:
    for item in missed:
        metrics.MISSED.labels(kind=item["kind"]).inc()
    if missed:
        logger.info("the watches did not show %d changes, such as that of %s", len(missed), _full_name(missed[0]))


def _full_name(item: Object) -> str:
    return f"{item['kind']} {item['metadata']['namespace']}/{item['metadata']['name']}"
