"""A model comes once, whole and right, whatever happens on the way."""

import errno
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import constants
from tandem_operator.api.source import HuggingFace
from tandem_operator.model_store import fetching, manifest
from tandem_operator.model_store import hub as remote
from tandem_operator.model_store.errors import PermanentError
from tandem_operator.model_store.place import Wish
from tandem_operator.model_store.progress import Progress
from tandem_operator.model_store.selection import Selection
from tandem_operator.model_store.unfinished import FOLDER, Unfinished

from tests.hub_double import Commit, Refusal
from tests.hub_double.hub import SIGNATURE
from tests.hub_double.repository import sha256
from tests.sockets.model_store.conftest import COMMAND, OTHER_SHARD, REPOSITORY, SHARD, SOURCE, until

TAKEN = {"config.json", "model.safetensors.index.json", SHARD, OTHER_SHARD, "tokenizer.json"}


@pytest.fixture
def model(store) -> Path:
    return store / "models" / "org--model" / "main"


def there(folder: Path) -> dict[str, bytes]:
    """All files of a folder by their paths, but for the manifest."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != manifest.NAME]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def taken(commit: Commit) -> dict[str, bytes]:
    return {path: content for path, content in commit.files.items() if path in TAKEN}


def size(files: dict[str, bytes]) -> int:
    return sum(map(len, files.values()))


def test_what_an_engine_needs_comes_and_is_told_of(fetch, model, commit) -> None:
    code, ending = fetch().ended()
    assert code == 0
    assert there(model) == taken(commit)
    found = manifest.read(model)
    assert found is not None
    assert found.source == SOURCE
    assert found.commit == commit.id
    assert {file.path: file.sha256 for file in found.files} == {
        path: sha256(content) for path, content in taken(commit).items()
    }
    assert ending | {"seconds": 0} == {
        "state": "Complete",
        "reason": "Fetched",
        "message": f"{SOURCE} is complete",
        "commit": commit.id,
        "bytes": size(taken(commit)),
        "files": len(TAKEN),
        "fetched": size(taken(commit)),
        "seconds": 0,
    }


def test_what_is_there_costs_no_request_and_needs_no_hub(fetch, hub, commit) -> None:
    assert fetch().ended()[0] == 0
    hub.requests.clear()
    code, ending = fetch().ended()
    assert (code, ending["reason"], ending["fetched"]) == (0, "Present", 0)
    assert not hub.requests
    hub.stop()
    assert fetch().ended()[0] == 0


def test_a_killed_run_is_gone_on_with(fetch, hub, model, commit) -> None:
    hub.holds[SHARD] = 1_500_000
    first = fetch()
    until(lambda: hub.sent[SHARD] == 1_500_000 and hub.sent[OTHER_SHARD] == 1_000_000)
    until(lambda: first.progress()["done"] > 2_300_000)
    first.process.kill()
    first.process.wait()
    assert manifest.read(model) is None
    hub.resume()
    code, ending = fetch().ended()
    assert code == 0
    assert there(model) == taken(commit)
    assert ending["fetched"] < 1_000_000
    assert hub.sent.total() < 1.3 * size(taken(commit))


def test_cut_connections_are_resumed(fetch, hub, model, commit) -> None:
    hub.cuts[SHARD] = [600_000, 600_000]
    assert fetch().ended()[0] == 0
    assert there(model) == taken(commit)
    assert hub.sent[SHARD] < 2_600_000


def test_a_server_that_knows_no_ranges_costs_bytes_and_no_harm(fetch, hub, model, commit) -> None:
    hub.has_ranges = False
    hub.cuts[SHARD] = [1_000_000]
    code, ending = fetch().ended()
    assert code == 0
    assert there(model) == taken(commit)
    assert ending["fetched"] > size(taken(commit)) + 500_000


def test_a_branch_that_moves_is_followed_and_what_stayed_is_kept(fetch, hub, model, commit) -> None:
    hub.holds[SHARD] = 1_000_000
    first = fetch()
    record = model / FOLDER / "verified.json"
    until(lambda: hub.held.is_set() and record.exists() and OTHER_SHARD in record.read_text())
    first.process.kill()
    first.process.wait()
    moved = Commit({**commit.files, SHARD: os.urandom(1_500_000), "config.json": b'{"architectures": ["Moved"]}'})
    del moved.files["tokenizer.json"]
    hub.push(REPOSITORY, moved)
    hub.resume()
    code, ending = fetch().ended()
    assert (code, ending["commit"]) == (0, moved.id)
    assert there(model) == taken(moved)
    assert hub.sent[OTHER_SHARD] == 1_000_000
    assert ending["fetched"] < 1_600_000


def test_a_wait_that_the_hub_asks_for_is_told(fetch, hub, commit) -> None:
    hub.refusals = [Refusal(429, {"Retry-After": "3600"})]
    run = fetch("--patience", "7200")
    told = until(lambda: (found := run.progress())["state"] == "Waiting" and found)
    assert "the hub asks to wait 3600 s (429)" in told["message"]
    assert "the hub asks to wait 3600 s (429)" in run.log
    run.process.terminate()
    code, ending = run.ended()
    assert (code, ending["reason"]) == (1, "Stopped")


def test_passing_trouble_passes(fetch, hub, model, commit) -> None:
    hub.refusals = [Refusal(503), Refusal(429, {"Retry-After": "0"})]
    hub.storage_refusals = [Refusal(403), Refusal(500)]
    run = fetch()
    assert run.ended()[0] == 0
    assert there(model) == taken(commit)
    assert "the hub answered 503; asked again in" in run.log
    assert "the hub's storage answered 403; asked again in" in run.log


def test_patience_ends_with_passing_trouble(fetch, hub, commit) -> None:
    hub.refusals = [Refusal(429, {"RateLimit": '"api";r=0;t=7200'})]
    code, ending = fetch().ended()
    assert (code, ending["state"], ending["reason"]) == (1, "Failed", "HubAway")
    assert "the hub asks to wait 7200 s (429)" in ending["message"]
    hub.stop()
    code, ending = fetch("--patience", "1").ended()
    assert (code, ending["reason"]) == (1, "HubAway")


@pytest.mark.parametrize(
    ("refusal", "token", "expected"),
    [
        (Refusal(403, {"X-Error-Code": "GatedRepo"}), "other", ("Gated", "accept its conditions on the hub")),
        (Refusal(401, {"X-Error-Code": "GatedRepo"}), "", ("Gated", "set model.credentials.secretName")),
        (Refusal(401, {"X-Error-Code": "RepoNotFound"}), "", ("NotFound", "model.credentials.secretName a token")),
        (Refusal(401), "other", ("Unauthorized", "renew HF_TOKEN in model.credentials.secretName")),
        (Refusal(403), "other", ("Forbidden", "may not read org/model")),
    ],
)
def test_a_closed_repository_ends_at_once_and_says_what_to_do(fetch, hub, refusal, token, expected) -> None:
    hub.closed = refusal
    code, ending = fetch(**({"HF_TOKEN": f"hf_{token}0123456789"} if token else {})).ended()
    reason, do = expected
    assert (code, ending["state"], ending["reason"]) == (3, "Failed", reason)
    assert do in ending["message"]
    assert len(hub.requests) == 1


def test_the_token_opens_the_hub_and_goes_nowhere_else(fetch, hub, commit) -> None:
    hub.closed = Refusal(403, {"X-Error-Code": "GatedRepo"})
    hub.cuts[SHARD] = [500_000]
    hub.storage_refusals = [Refusal(500)]
    run = fetch(HF_TOKEN=hub.token)
    assert run.ended()[0] == 0
    assert not hub.leaked
    assert hub.token not in run.said
    assert SIGNATURE[:30] not in run.said


def test_neither_revision_nor_file_may_be_missing(fetch, hub, commit) -> None:
    code, ending = fetch(source=f"{SOURCE}@v2").ended()
    assert (code, ending["message"]) == (3, "model.source: org/model has no revision v2")
    code, ending = fetch("--file", "absent.gguf").ended()
    assert (code, ending["reason"]) == (3, "NotFound")
    assert "has no file absent.gguf" in ending["message"]
    assert fetch(source="hf://org").process.wait(20) == 2


def test_wrong_bytes_are_fetched_again_once(fetch, hub, model, commit) -> None:
    hub.wrong[SHARD] = 1
    run = fetch()
    assert run.ended()[0] == 0
    assert there(model) == taken(commit)
    assert f"{SHARD} came with wrong bytes" in run.log


@pytest.mark.parametrize("path", [SHARD, "config.json"])
def test_bytes_that_stay_wrong_are_no_model(fetch, hub, model, commit, path) -> None:
    hub.wrong[path] = 2
    code, ending = fetch().ended()
    assert (code, ending["reason"]) == (3, "WrongBytes")
    assert path in ending["message"]
    assert manifest.read(model) is None
    assert not (model / path).exists()


def test_a_changed_file_is_found_and_fetched_again(fetch, hub, model, commit) -> None:
    fetch().ended()
    content = bytearray(commit.files[SHARD])
    content[1000] ^= 1
    (model / SHARD).write_bytes(content)
    hub.push(REPOSITORY, Commit({**commit.files, "config.json": b"{}"}))  # which a repair must not mix in
    assert fetch().ended()[1]["fetched"] == 0
    code, ending = fetch("--verify").ended()
    assert (code, ending["commit"]) == (0, commit.id)
    assert there(model) == taken(commit)
    assert hub.sent[OTHER_SHARD] == 1_000_000
    assert fetch("--verify").ended()[1]["fetched"] == 0


def test_two_at_once_fetch_once(fetch, hub, model, commit) -> None:
    hub.holds[SHARD] = 1_000_000
    first = fetch()
    until(hub.held.is_set)
    second = fetch()
    until(lambda: "another process fetches this model" in second.log)
    assert second.progress()["state"] == "Waiting"
    hub.resume()
    assert first.ended()[0] == second.ended()[0] == 0
    assert second.ended()[1]["fetched"] == 0
    assert there(model) == taken(commit)
    assert hub.sent.total() == size(taken(commit))


def test_room_is_asked_for_before_the_first_byte(fetch, hub, files) -> None:
    hub.push(REPOSITORY, Commit(files, claimed={SHARD: 10**18}))
    code, ending = fetch().ended()
    assert (code, ending["reason"]) == (3, "NoRoom")
    assert "enlarge its claim" in ending["message"]
    assert not hub.sent


def test_progress_counts_bytes(fetch, hub, commit) -> None:
    hub.holds[SHARD] = 1_000_000
    run = fetch()
    until(lambda: (found := run.progress())["done"] > 1_800_000 and found["total"] == size(taken(commit)))
    told = run.progress()
    assert told["state"] == "Fetching"
    assert told["percent"] == 100 * told["done"] // told["total"]
    assert told["rate"] > 0
    hub.resume()
    assert run.ended()[0] == 0


def test_one_file_has_a_folder_of_its_own(fetch, model, commit) -> None:
    fetch().ended()
    code, ending = fetch("--file", "model.gguf").ended()
    assert (code, ending["bytes"]) == (0, 100_000)
    (other,) = model.parent.glob("main@@*")
    assert there(other) == {"model.gguf": commit.files["model.gguf"]}
    assert there(model) == taken(commit)


def test_large_files_are_asked_for_in_ranges(monkeypatch, hub, commit, store) -> None:
    monkeypatch.setattr(remote, "LARGEST_ANSWER", 300_000)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    progress = Progress()
    wish = Wish(HuggingFace(REPOSITORY, "main"), store, Selection(), verify=False)
    found = fetching.fetch(wish, progress, patience=10)
    assert there(wish.folder) == taken(commit)
    assert found.commit == commit.id
    assert sum(path.endswith(f"/{SHARD}") and "storage" in path for path in hub.requests) == 7
    assert progress.fetched == size(taken(commit))


def test_a_connection_without_bytes_is_given_up(monkeypatch, hub, commit, store) -> None:
    monkeypatch.setattr(remote, "_PATIENCE", 0.5)
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    hub.holds[SHARD] = 1_200_000
    wish = Wish(HuggingFace(REPOSITORY, None), store, Selection(), verify=False)
    fetching.fetch(wish, Progress(), patience=15)
    assert there(wish.folder) == taken(commit)
    assert hub.sent[SHARD] < 2_300_000


def test_a_process_that_lost_its_lock_unawares_harms_nothing(monkeypatch, hub, commit, store) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    hub.holds[SHARD] = 1_000_000
    wish = Wish(HuggingFace(REPOSITORY, None), store, Selection(), verify=False)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(fetching.fetch, wish, Progress(), 10)
        record = wish.folder / FOLDER / "verified.json"
        until(
            lambda: (
                hub.held.is_set() and record.exists() and all(path in record.read_text() for path in TAKEN - {SHARD})
            )
        )
        hub.holds.clear()
        (lock,) = wish.folder.parent.glob("*.lock.*")
        lock.unlink()
        assert fetching.fetch(wish, Progress(), 10).commit == commit.id
        hub.resume()
        first.exception(20)  # whatever it makes of that
    assert there(wish.folder) == taken(commit)


def test_a_full_volume_says_what_to_do(monkeypatch, hub, commit, store) -> None:
    def full(*_) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(Unfinished, "keep", full)
    wish = Wish(HuggingFace(REPOSITORY, None), store, Selection(), verify=False)
    with pytest.raises(PermanentError, match=f"{store} is full: enlarge its claim") as caught:
        fetching.fetch(wish, Progress(), patience=10)
    assert caught.value.reason == "NoRoom"


def test_evict_removes_what_nobody_keeps(fetch, hub, store, model, commit) -> None:
    hub.push(REPOSITORY, commit, "v2")
    fetch().ended()
    fetch(source=f"{SOURCE}@v2").ended()
    command = [*COMMAND, "evict", "--store", str(store), "--keep", SOURCE]
    done = subprocess.run([*command, "--max-bytes", "100000000"], check=True, capture_output=True)
    assert json.loads(done.stdout) == {"freed": 0}
    done = subprocess.run(command, check=True, capture_output=True)
    assert json.loads(done.stdout)["freed"] > size(taken(commit))
    assert [path.name for path in model.parent.iterdir()] == ["main"]
