"""Which pods of engines hang, and when each is deleted; does no I/O.

All orchestrators look at the engine's own counter: one that is sure that it stands still is enough, unless another has
seen it move. One that has no requests there, or cannot reach it, says nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from tandem_contract import names
from tandem_contract.progress import Progress

from tandem_operator.api.address import address_in
from tandem_operator.api.component import Tier
from tandem_operator.api.hang import Hang
from tandem_operator.api.said import AtWork
from tandem_operator.status.observed import Object

PAUSE: Final = timedelta(minutes=5)
"""Between two pods of a component: one that hangs again and again is no better for being replaced all the time."""
_NO_ENGINES: Final = (Tier.ORCHESTRATOR, Tier.INGESTION)


def hanging[Pod: Object](at_work: Iterable[AtWork], pods: Iterable[Pod]) -> list[tuple[Pod, timedelta]]:
    """Return the pods that orchestrators say hang, each with how long it has; the longest first."""
    told = defaultdict(list)
    for each in at_work:
        told[each.address].append(each)
    found = []
    for pod in pods:
        said = [each for address in _addresses(pod) for each in told.get(address, ())]
        states = {each.progress for each in said}
        if Progress.HANGS in states and Progress.MOVES not in states and tier_of(pod) not in _NO_ENGINES:
            found.append((pod, timedelta(seconds=max(each.seconds for each in said))))
    return sorted(found, key=lambda each: each[1], reverse=True)


def planned(
    found: Sequence[tuple[Object, timedelta]],
    known: Sequence[Hang],
    last: Mapping[str, datetime],
    now: datetime,
) -> list[Hang]:
    """Return what is done about pods that hang: of a component, one is deleted, and no other within `PAUSE`.

    `known` are those of before, of which some may be on their way out; `last` is when a pod of a component was deleted.
    """
    before, due = {hang.uid: hang for hang in known}, dict(last)
    planned = []
    for pod, lasts in found:
        metadata, tier = pod["metadata"], tier_of(pod)
        former = before.get(metadata["uid"])
        if "deletionTimestamp" in metadata:
            planned += [former] if former else []
            continue
        due[tier] = max(now, due[tier] + PAUSE) if tier in due else now
        since = former.since if former else now - lasts
        planned.append(Hang(metadata["uid"], metadata["name"], tier, since, due[tier]))
    return planned


def tier_of(pod: Object) -> str:
    """Return the component that a pod says it is of; empty if it says none."""
    return str((pod["metadata"].get("labels") or {}).get(names.LABEL_TIER, ""))


def _addresses(pod: Object) -> set[str]:
    """Return a pod's addresses, of either family."""
    status = pod.get("status") or {}
    found = (status.get("podIP"), *(each.get("ip") for each in status.get("podIPs") or ()))
    return {address for each in found if (address := address_in(each))}
