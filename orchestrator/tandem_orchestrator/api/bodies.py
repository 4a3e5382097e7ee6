"""Bodies that the endpoints check themselves, as the OpenAPI page tells of them."""

from typing import Annotated, Any, Final

from fastapi import Body

from tandem_orchestrator.batches.create import OUTPUT_SECONDS
from tandem_orchestrator.batches.endpoints import ENDPOINTS
from tandem_orchestrator.files.terms import PURPOSES, SECONDS
from tandem_orchestrator.files.uploads import MOST_PARTS
from tandem_orchestrator.responses.conversations import MOST_ITEMS
from tandem_orchestrator.retrieval import attributes, question, store_files, stores, strategy
from tandem_orchestrator.store import metadata

Schema = dict[str, Any]


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _number(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _texts(most: int, length: int) -> Schema:
    return {"type": "array", "minItems": 1, "maxItems": most, "items": {"type": "string", "maxLength": length}}


def _expires(anchor: str, **after: Schema) -> Schema:
    return _nullable(_object("anchor", *after, anchor={"type": "string", "enum": [anchor]}, **after))


def _body(*required: str, **properties: Schema) -> Any:
    extra: Any = {"properties": properties}
    return Body(json_schema_extra=extra | ({"required": list(required)} if required else {}))


_TEXT: Final[Schema] = {"type": "string", "minLength": 1}
_ID: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 64}
_VALUE: Final[Schema] = {"type": ["string", "number", "boolean"], "maxLength": attributes.LONGEST_VALUE}
_METADATA: Final = _nullable(
    {
        "type": "object",
        "maxProperties": metadata.MOST,
        "propertyNames": {"maxLength": metadata.LONGEST_KEY},
        "additionalProperties": {"type": "string", "maxLength": metadata.LONGEST_VALUE},
    }
)
_ATTRIBUTES: Final = _nullable(
    {
        "type": "object",
        "maxProperties": attributes.MOST,
        "propertyNames": {"minLength": 1, "maxLength": attributes.LONGEST_KEY},
        "additionalProperties": _VALUE,
    }
)
_COMPARISON: Final = _object(
    "type",
    "key",
    "value",
    type={"type": "string", "enum": list(attributes.COMPARISONS)},
    key={"type": "string", "minLength": 1, "maxLength": attributes.LONGEST_KEY},
    value={"anyOf": [_VALUE, {"type": "array", "maxItems": attributes.MOST_VALUES, "items": _VALUE}]},
)
_FILTERS: Final = {
    "anyOf": [
        _COMPARISON,
        _object(
            "type",
            "filters",
            type={"type": "string", "enum": list(attributes.COMPOUNDS)},
            filters={"type": "array", "minItems": 1, "items": {"anyOf": [_COMPARISON, {"type": "object"}]}},
        ),
        {"type": "null"},
    ]
}
_CHUNKING: Final = {
    "anyOf": [
        _object("type", type={"type": "string", "enum": ["auto"]}),
        _object(
            "type",
            "static",
            type={"type": "string", "enum": ["static"]},
            static=_object(
                "max_chunk_size_tokens",
                "chunk_overlap_tokens",
                max_chunk_size_tokens=_number(strategy.LEAST_TOKENS, strategy.MOST_TOKENS),
                chunk_overlap_tokens={"type": "integer", "minimum": 0},
            ),
        ),
        {"type": "null"},
    ]
}
_RANKING: Final = _nullable(
    _object(
        ranker={"type": "string", "enum": list(question.RANKERS)},
        score_threshold={"type": "number", "minimum": 0, "maximum": 1},
        hybrid_search=_object(
            embedding_weight={"type": "number", "minimum": 0}, text_weight={"type": "number", "minimum": 0}
        ),
    )
)
_NAME: Final = _nullable({"type": "string", "maxLength": stores.LONGEST_NAME})
_STORE_EXPIRES: Final = _expires("last_active_at", days=_number(1, stores.MOST_DAYS))
_ITEMS: Final[Schema] = {"type": "array", "minItems": 1, "maxItems": MOST_ITEMS, "items": {"type": "object"}}
_ATTACHED: Final = {"attributes": _ATTRIBUTES, "chunking_strategy": _CHUNKING}

Document = dict[str, Any]
NewConversation = Annotated[Document | None, _body(items=_nullable(_ITEMS), metadata=_METADATA)]
ConversationChange = Annotated[Document, _body("metadata", metadata=_METADATA)]
NewItems = Annotated[Document, _body("items", items=_ITEMS)]
NewUpload = Annotated[
    Document,
    _body(
        "bytes",
        "filename",
        "mime_type",
        "purpose",
        bytes={"type": "integer", "minimum": 1},
        filename=_TEXT,
        mime_type=_TEXT,
        purpose={"type": "string", "enum": list(PURPOSES)},
        expires_after=_expires("created_at", seconds=_number(SECONDS.start, SECONDS.stop - 1)),
    ),
]
UploadEnd = Annotated[
    Document,
    _body("part_ids", part_ids=_texts(MOST_PARTS, 64), md5=_nullable({"type": "string", "maxLength": 32})),
]
NewStore = Annotated[
    Document | None,
    _body(
        name=_NAME,
        description=_nullable({"type": "string", "maxLength": stores.LONGEST_DESCRIPTION}),
        file_ids=_nullable(_texts(store_files.MOST_AT_CREATION, 64)),
        metadata=_METADATA,
        expires_after=_STORE_EXPIRES,
        chunking_strategy=_CHUNKING,
    ),
]
StoreChange = Annotated[Document, _body(name=_NAME, metadata=_METADATA, expires_after=_STORE_EXPIRES)]
SearchBody = Annotated[
    Document,
    _body(
        "query",
        query={"anyOf": [_TEXT, _texts(question.MOST_QUERIES, question.LONGEST_QUERY)]},
        filters=_FILTERS,
        max_num_results=_nullable(_number(1, question.MOST_RESULTS)),
        ranking_options=_RANKING,
        rewrite_query={"type": "boolean", "default": False},
    ),
]
NewFile = Annotated[Document, _body("file_id", file_id=_ID, **_ATTACHED)]
FileChange = Annotated[Document, _body("attributes", attributes=_ATTRIBUTES)]
NewFileBatch = Annotated[
    Document,
    _body(
        file_ids=_texts(store_files.MOST_IN_BATCH, 64),
        files={
            "type": "array",
            "minItems": 1,
            "maxItems": store_files.MOST_IN_BATCH,
            "items": _object("file_id", file_id=_ID, **_ATTACHED),
            "description": "In the place of `file_ids`, each with attributes of its own.",
        },
        **_ATTACHED,
    ),
]
NewBatch = Annotated[
    Document,
    _body(
        "input_file_id",
        "endpoint",
        "completion_window",
        input_file_id=_ID,
        endpoint={"type": "string", "enum": list(ENDPOINTS)},
        completion_window={"type": "string", "description": "Hours or days up to 7d, such as 24h."},
        metadata=_METADATA,
        output_expires_after=_expires("created_at", seconds=_number(OUTPUT_SECONDS.start, OUTPUT_SECONDS.stop - 1)),
    ),
]
