"""A store without room: which models leave it for another, and which never do."""

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tandem_operator.api.source import HuggingFace
from tandem_operator.model_store import fetching
from tandem_operator.model_store.errors import PermanentError
from tandem_operator.model_store.eviction import make_room
from tandem_operator.model_store.place import Wish
from tandem_operator.model_store.progress import Progress
from tandem_operator.model_store.selection import Selection

from tests.hub_double import Commit, HubDouble
from tests.sockets.model_store.conftest import REPOSITORY, SHARD

WANTED = HuggingFace(REPOSITORY, None)
OLD, NEW, KEPT = (HuggingFace(f"org/{name}", None) for name in ("old", "new", "kept"))
SIZE = 200_000


class Usage(NamedTuple):
    free: int


def wish(store: Path, source: HuggingFace, kept: tuple[HuggingFace, ...] | None = None) -> Wish:
    return Wish(source, store, Selection(), kept=kept)


@pytest.fixture
def full(hub: HubDouble, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with three models, of which `KEPT` was wanted longest ago, then `OLD`, and without room."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for source in (NEW, OLD, KEPT):
        hub.push(source.repository, Commit({"config.json": b"{}", "model.safetensors": os.urandom(SIZE)}))
        fetching.fetch(wish(store, source), Progress(), 5)
    for age, source in enumerate((KEPT, OLD, NEW)):
        for path in wish(store, source).folder.iterdir():
            os.utime(path, (1000 + age, 1000 + age))
    hub.push(REPOSITORY, Commit({"config.json": b"{}", "model.safetensors": os.urandom(SIZE)}))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(SIZE // 2))
    return store


def there(store: Path) -> set[str]:
    return {source.repository for source in (OLD, NEW, KEPT, WANTED) if wish(store, source).folder.exists()}


def test_the_model_goes_that_was_wanted_longest_ago_but_none_that_somebody_names(full: Path) -> None:
    fetching.fetch(wish(full, WANTED, (KEPT,)), Progress(), 5)
    assert there(full) == {"org/new", "org/kept", REPOSITORY}


def test_nothing_goes_where_eviction_is_not_asked_for(full: Path) -> None:
    with pytest.raises(PermanentError, match=r"enlarge its claim, or set model\.cache\.eviction to WhenFull"):
        fetching.fetch(wish(full, WANTED), Progress(), 5)
    assert there(full) >= {"org/old", "org/new", "org/kept"}


def test_nothing_goes_where_it_would_not_do(full: Path) -> None:
    with pytest.raises(PermanentError, match="enlarge its claim; all other models are wanted"):
        fetching.fetch(wish(full, WANTED, (KEPT, NEW, OLD)), Progress(), 5)
    assert make_room(full, [KEPT], 10 * SIZE) == 0
    assert there(full) >= {"org/old", "org/new", "org/kept"}


def test_the_command_takes_what_the_operators_job_gives_it(fetch: Any, hub: HubDouble, files: dict[str, bytes]) -> None:
    hub.push(REPOSITORY, Commit(files, claimed={SHARD: 10**18}))
    code, ending = fetch("--evict", "--keep=hf://org/kept", "--keep=hf://org/other@v1").ended()
    assert (code, ending["reason"]) == (3, "NoRoom")
    assert "all other models are wanted" in ending["message"]
