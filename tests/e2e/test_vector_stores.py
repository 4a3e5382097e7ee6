"""Documents in, cited answers out, on two orchestrators and an engine for embeddings: an orchestrator is killed
while it reads, and a store changes its embedding model while it is searched.
"""

import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
import pytest
from tandem_contract import metrics as names

from hack import images
from tests.documents import pdf_file
from tests.e2e.cluster import Namespace, eventually
from tests.e2e.conftest import CONFIG
from tests.e2e.embedding_pod import embedding
from tests.e2e.keys import API_KEY
from tests.e2e.pods import secret, server
from tests.e2e.postgres_pod import postgres
from tests.e2e.traffic import finish, load, wait_for_answers

ORCHESTRATORS = "tandem.dev/llmservice=demo,tandem.dev/tier=orchestrator"
PORT, METRICS_PORT = 8001, 8002
BUCKET = "library"
OTHER = "other"
TIMEOUT = 120.0
ROLL_OUT_SECONDS = 400
READING_SECONDS = 240
QUESTION = "What is the capital of France?"
PAGES = (
    "Borrowing a telescope\nVisitors keep a telescope for three nights.",
    "Towns\nThe capital of France is Paris.",
    "Care of the mirrors\nNever wipe a mirror.",
)
LINES = 6000


@pytest.fixture(scope="module")
def library(service: Namespace) -> Namespace:
    """The demo with files in a bucket, vector stores in a PostgreSQL, and two engines that embed."""
    key = uuid.uuid4().hex
    service.apply(
        *postgres("library"),
        secret("bucket", id="library", key=key),
        *server("s3", images.reference("s3"), 9000),
        *embedding(OTHER, "minilm", '--pooler-config={"pooling_type": "CLS"}'),  # other vectors of the same texts
    )
    service.kubectl("wait", "--for=condition=Ready", "pod/library", "pod/s3", f"pod/{OTHER}", "--timeout=400s")
    with service.forward("pod/s3", 9000) as url:
        httpx.put(f"{url}/{BUCKET}").raise_for_status()
    before = set(service.names("pods", ORCHESTRATORS))
    settings = {
        "state": {"postgres": {"urlFrom": {"secretName": "library", "secretKey": "url"}}},
        "files": {
            "s3": {
                "bucket": BUCKET,
                "endpoint": "http://s3:9000",
                "accessKeyId": {"secretName": "bucket", "secretKey": "id"},
                "secretAccessKey": {"secretName": "bucket", "secretKey": "key"},
            }
        },
        "retrieval": {"embedding": {"batchSize": 16}, "chunking": {"maxTokens": 100, "overlapTokens": 0}},
        "config": {**CONFIG, "upstreams": [{"name": OTHER, "url": f"http://{OTHER}:8000", "model": OTHER}]},
        "resources": {"limits": {"memory": "1Gi"}},
    }
    engine = {
        "model": {"source": f"oci://{images.reference('minilm')}", "name": "minilm"},
        "extraArgs": ["--enforce-eager", "--dtype=float32"],
        "env": [{"name": "VLLM_CPU_KVCACHE_SPACE", "value": "1"}],
        "resources": {"requests": {"cpu": "200m", "memory": "2Gi"}, "limits": {"memory": "6Gi"}},
    }
    service.change("demo", {"embeddingEngine": engine, "orchestrator": settings})
    eventually(lambda: rolled_out(service, before), within=ROLL_OUT_SECONDS, what="orchestrators have a library")
    return service


def rolled_out(service: Namespace, before: set[str]) -> bool:
    conditions = ("Ready", "EmbeddingReady", "StoresReady")
    ready = all(service.condition("demo", kind).get("status") == "True" for kind in conditions)
    return ready and before.isdisjoint(service.names("pods", ORCHESTRATORS))


@contextmanager
def api(service: Namespace, pod: str) -> Iterator[openai.OpenAI]:
    """A client of one pod."""
    with (
        service.forward(pod, PORT) as url,
        openai.OpenAI(base_url=f"{url}/v1", api_key=API_KEY, timeout=TIMEOUT) as client,
    ):
        yield client


def store_of(client: openai.OpenAI, name: str, content: bytes) -> str:
    """A vector store with one document, which is still to be read."""
    store = client.vector_stores.create(name=name)
    file = client.files.create(file=(name, content), purpose="assistants")
    client.vector_stores.files.create(store.id, file_id=file.id)
    return store.id


def read(client: openai.OpenAI, store: str) -> str | None:
    """The id of a store's document once it has been read, None while it has not."""
    (file,) = client.vector_stores.files.list(store).data
    assert file.status in ("in_progress", "completed"), file.last_error
    return file.id if file.status == "completed" else None


def test_an_answer_cites_the_page(library: Namespace) -> None:
    first, second = library.names("pods", ORCHESTRATORS)[:2]
    with api(library, first) as uploading, api(library, second) as asking:
        store = store_of(uploading, "handbook.pdf", pdf_file(*PAGES))
        file = eventually(lambda: read(asking, store), within=READING_SECONDS, what="the document has been read")
        (best, *_) = asking.vector_stores.search(store, query=QUESTION).data
        assert PAGES[1].splitlines()[1] in best.content[0].text
        response = asking.responses.create(
            model="tandem-demo",
            input=QUESTION,
            tools=[{"type": "file_search", "vector_store_ids": [store], "max_num_results": 2}],
            tool_choice={"type": "file_search"},
            temperature=0,
        )
        assert "Paris" in response.output_text
        messages = [item for item in response.model_dump()["output"] if item["type"] == "message"]
        cited = [note for message in messages for note in message["content"][0]["annotations"]]
        assert [(note["file_id"], note["filename"], note["page"]) for note in cited] == [(file, "handbook.pdf", 2)]


def test_a_pod_is_killed_while_it_reads(library: Namespace) -> None:
    """Another goes on where it was; each line of the document is there once."""
    text = "\n".join(f"Line {n} of the ledger tells what was paid for barrel {n * 7919 % 10007}." for n in range(LINES))
    pods = library.names("pods", ORCHESTRATORS)[:2]
    with api(library, pods[0]) as client:
        store = store_of(client, "ledger.txt", text.encode())
    victim = eventually(lambda: reader(library, pods), within=READING_SECONDS, what="a pod has read some pieces")
    library.kubectl("delete", victim, "--force", "--grace-period=0")
    (survivor,) = set(pods) - {victim}
    with api(library, survivor) as client:
        assert read(client, store) is None, "it was killed too late"
        file = eventually(lambda: read(client, store), within=READING_SECONDS, what="another pod has read the rest")
        pieces = [*contents(client, store, file)]
    lines = Counter(int(n) for piece in pieces for n in re.findall(r"^Line (\d+) of", piece, re.MULTILINE))
    assert lines == Counter(range(LINES))


def contents(client: openai.OpenAI, store: str, file: str) -> Iterator[str]:
    """The texts of all pieces of a document."""
    path, page = f"/vector_stores/{store}/files/{file}/content", "-1"
    while page is not None:
        answer: Any = client.get(path, cast_to=object, options={"params": {"page": page}})
        yield from (part["text"] for part in answer["data"])
        page = answer["next_page"]


def reader(service: Namespace, pods: list[str]) -> str | None:
    """The pod that has added more than a first few pieces."""
    return next((pod for pod in pods if metric(service, pod, "tandem_ingested_chunks_total") > 50), None)


def metric(service: Namespace, pod: str, name: str) -> float:
    with service.forward(pod, METRICS_PORT) as url:
        (value,) = re.findall(rf"^{name} (\S+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE)
    return float(value)


def told(service: Namespace, since: float) -> bool:
    """Whether every orchestrator has taken a configuration that was made since a time."""
    pods = service.names("pods", ORCHESTRATORS)
    return all(metric(service, pod, names.CONFIG_RELOAD_TIME) > since for pod in pods)


def made_by(client: openai.OpenAI, store: str, model: str) -> bool:
    """Whether a store's index is of a model's vectors, and whole."""
    found = client.vector_stores.retrieve(store).model_dump()
    return (found["reindexing"], found["embedding"]["model"]) == (False, model)


def test_another_embedding_model_under_load(library: Namespace) -> None:
    wanted = "Visitors keep a telescope"
    pod = library.names("pods", ORCHESTRATORS)[0]
    with api(library, pod) as client:
        store = store_of(client, "again.pdf", pdf_file(*PAGES))
        eventually(lambda: read(client, store), within=READING_SECONDS, what="the document has been read")
    with load(library, store, "How long may visitors keep a telescope?", wanted):
        wait_for_answers(library)
        changed = time.time()
        library.change("demo", {"orchestrator": {"retrieval": {"embedding": {"model": OTHER}}}})
        eventually(lambda: told(library, changed), within=ROLL_OUT_SECONDS, what="both know of the other model")
        with api(library, pod) as client:
            client.post(f"/vector_stores/{store}/reindex", cast_to=object)
            eventually(lambda: made_by(client, store, OTHER), within=READING_SECONDS, what="it has the other model")
        wait_for_answers(library)
        library.change("demo", {"embeddingEngine": None})
        eventually(lambda: library.get("deployment", "demo-embedding") is None, within=120, what="its engine is gone")
        wait_for_answers(library)
        figures = finish(library)
        assert [*figures.ended, *figures.failed] == []
