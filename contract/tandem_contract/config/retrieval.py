"""`retrieval`: vector stores, and how documents become searchable."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from tandem_contract.config.base import Name, Seconds, Section
from tandem_contract.config.keys import MOST

Prompt = Annotated[str, StringConstraints(max_length=512)]


class Embedding(Section):
    """What makes vectors of texts. A vector store remembers it: after a change it has to be indexed again."""

    model: Name | None = None
    """A model of one of the upstreams that serves /v1/embeddings."""
    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    """Folder with a static embedding model that runs in the orchestrator itself, instead of `model`."""
    dimensions: int | None = Field(default=None, ge=1, le=16_000)
    """Numbers of a vector, for models that can make shorter ones. Default: the model's own."""
    query_prompt: Prompt = ""
    """Put in front of each question, such as "query: ", for models that ask for it."""
    document_prompt: Prompt = ""
    """Put in front of each piece of a document, such as "passage: "."""
    batch_size: int = Field(default=64, ge=1, le=2048)
    """Texts in one request to the model."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.model is not None and self.path is not None:
            raise ValueError("set model or path, not both")
        return self


class Chunking(Section):
    """How documents are cut where a request does not say so; a vector store remembers it."""

    max_tokens: int = Field(default=800, ge=100, le=4096)
    """Most tokens of a piece; the embedding model must take as many."""
    overlap_tokens: int = Field(default=400, ge=0, le=2048)
    """Tokens that a piece repeats of the one before."""

    @model_validator(mode="after")
    def _overlaps_by_half(self) -> Self:
        if 2 * self.overlap_tokens > self.max_tokens:
            raise ValueError("overlapTokens must be at most half of maxTokens")
        return self


class Ingestion(Section):
    """How files become pieces with vectors, in the background; each file in a process of its own while it is read."""

    concurrency: int = Field(default=2, ge=0, le=64)
    """Files at the same time, in each orchestrator process; 0 leaves them to other replicas."""
    max_memory_bytes: int = Field(default=536_870_912, ge=67_108_864, le=17_179_869_184)
    """Memory that reading a file may take; a file that needs more fails."""
    max_seconds: Seconds = 300.0
    """Time that reading a file may take."""
    max_pages: int = Field(default=10_000, ge=1, le=1_000_000)
    """Pages, slides or sheets of a file; one with more fails."""
    max_unpacked_bytes: int = Field(default=1_073_741_824, ge=1_048_576, le=68_719_476_736)
    """Bytes that a packed file (docx, pptx, xlsx) may unpack to."""


class StoreQuota(Section):
    """What each tenant may keep; what is left out is unlimited."""

    stores: int | None = Field(default=None, ge=1, le=MOST)
    """Vector stores."""
    chunks: int | None = Field(default=None, ge=1, le=MOST)
    """Pieces of documents, in all of its vector stores."""


class Retrieval(Section):
    """Vector stores (`/v1/vector_stores`) and the tool file_search."""

    embedding: Embedding = Embedding()
    """What makes vectors of texts. Default: nothing, so that stores are searched by words alone."""
    reranker: Name | None = None
    """A model of one of the upstreams that serves /v1/rerank, which puts what was found in order. Default: none."""
    chunking: Chunking = Chunking()
    """How documents are cut where a request does not say so."""
    ingestion: Ingestion = Ingestion()
    """How documents are read; in an LLMService fewer at a time, with less memory, where its pods' limit asks for it."""
    quota: StoreQuota = StoreQuota()
    """What each tenant may keep."""
