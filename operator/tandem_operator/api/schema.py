"""The CustomResourceDefinition, made from the models.

Pydantic writes JSON Schema 2020-12 with references; Kubernetes wants a structural OpenAPI 3.0 schema: everything
inlined, no nulls, no unions, limits in the older spelling.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from tandem_contract import names

from tandem_operator.api.llmservice import LLMService, LLMServiceSpec
from tandem_operator.api.settings import rules_of
from tandem_operator.api.status import LLMServiceStatus

Schema = dict[str, Any]

_KEPT: Final = frozenset(
    (
        *("type", "description", "enum", "format", "pattern", "required", "anyOf"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    )
)
"""What Kubernetes' dialect says in the same words; the rest is rebuilt below or means nothing to it."""
_INNER: Final = ("items", "additionalProperties")
_ANYTHING: Final = "x-kubernetes-preserve-unknown-fields"
_CHECKED_BY_THE_OPERATOR: Final = ("affinity",)
"""Fields of additional engines whose schema, a tenth of what there is room for, stands at the others already."""
_SECRET: Final = "password"  # noqa: S105 # a format
FIELDS_AT: Final = "For its fields see "
"""Before the path of a field whose parts are described in the place of another's."""
_COLUMNS: Final = (
    ("Model", "string", ".status.model", 0),
    ("Engine", "string", ".spec.engine.type", 0),
    ("GPUs", "integer", ".status.gpus", 0),
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 1),
    ("URL", "string", ".status.url", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
)


def crd() -> Schema:
    """Return the CustomResourceDefinition of LLMService."""
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}"},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.KIND.lower(),
                "shortNames": ["llm"],
            },
            "versions": [
                {
                    "name": names.VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _resource()},
                    "subresources": {"status": {}, "scale": _scale()},
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                }
            ],
        },
    }
    return json.loads(json.dumps(definition))  # type: ignore[no-any-return] # nothing shared: YAML gets no anchors


def _resource() -> Schema:
    return {
        "type": "object",
        "description": LLMService.__doc__,
        "required": ["spec"],
        "x-kubernetes-validations": [rule.schema() for rule in LLMService.rules],
        "properties": {
            "apiVersion": {"type": "string", "description": "Version of this representation."},
            "kind": {"type": "string", "description": "Kind of this resource."},
            "metadata": {"type": "object"},
            "spec": _described_once(structural(LLMServiceSpec.model_json_schema(schema_generator=_WithRules))),
            "status": {
                **structural(LLMServiceStatus.model_json_schema()),
                "default": {"observedGeneration": -1},  # kstatus: not looked at yet is not "current"
            },
        },
    }


def _described_once(spec: Schema) -> Schema:
    """Return the schema of a spec without the parts' descriptions where other tiers have a field of spec.engine, too.

    Those of such a field itself stay, and say where its parts are described: kubectl apply keeps a definition, whole,
    in an annotation of 262,144 bytes at most.
    """
    fields = spec["properties"]
    described = {f"spec.engine.{name}": field for name, field in fields["engine"]["properties"].items()}
    described["spec.model"] = fields["model"]
    for tier in (
        fields["additionalEngines"]["additionalProperties"],
        fields["embeddingEngine"],
        fields["orchestrator"],
    ):
        for path, whole in described.items():
            name = path.rpartition(".")[2]
            parts = dict(_descriptions(tier["properties"].get(name, {})))
            if any(parts.values()) and parts.items() <= dict(_descriptions(whole)).items():
                tier["properties"][name] = _pointing(tier["properties"][name], path)
    several = fields["additionalEngines"]["additionalProperties"]["properties"]
    for name in _CHECKED_BY_THE_OPERATOR:
        several[name] = {"type": "object", "description": several[name]["description"], _ANYTHING: True}
    return spec


def _descriptions(field: Schema, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield what is said of each part of a field, by its path in there; empty where nothing is."""
    parts = [*field.get("properties", {}).items(), *((each, field[each]) for each in _INNER if each in field)]
    for name, part in parts:
        if isinstance(part, dict):
            yield f"{path}.{name}", part.get("description", "")
            yield from _descriptions(part, f"{path}.{name}")


def _pointing(field: Schema, path: str) -> Schema:
    """Return a field without descriptions of its parts, but with where those are."""
    return {**_bare(field), "description": f"{field['description']} {FIELDS_AT}{path}."}


def _bare(field: Schema) -> Schema:
    bare = {name: value for name, value in field.items() if name != "description"}
    if "properties" in bare:
        bare["properties"] = {name: _bare(part) for name, part in bare["properties"].items()}
    return bare | {each: _bare(bare[each]) for each in _INNER if isinstance(bare.get(each), dict)}


def _scale() -> Schema:
    return {
        "specReplicasPath": ".spec.engine.replicas",
        "statusReplicasPath": ".status.engine.replicas",
        "labelSelectorPath": ".status.selector",
    }


def _column(name: str, kind: str, path: str, priority: int) -> Schema:
    column: Schema = {"name": name, "type": kind, "jsonPath": path}
    return {**column, "priority": priority} if priority else column


class _WithRules(GenerateJsonSchema):
    """Adds the rules for the contract's sections, which have none of their own."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        written = super().model_schema(schema)
        if rules := [rule.schema() for rule in rules_of(schema["cls"])]:
            written["x-kubernetes-validations"] = rules
        return written


def structural(document: Schema) -> Schema:
    """Return the structural form of a JSON schema that pydantic made."""
    return _structural(document, document.get("$defs", {}), keep_defaults=True)


def _structural(node: Schema, definitions: Schema, *, keep_defaults: bool) -> Schema:
    node = _resolved(node, definitions)
    keep_defaults = keep_defaults and "x-defaults-described" not in node
    schema = {key: value for key, value in node.items() if key in _KEPT or key.startswith("x-kubernetes-")}
    if "description" in node:
        schema["description"] = " ".join(node["description"].split())
    if "const" in node:
        schema["enum"] = [node["const"]]
    for old, new in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if old in schema:
            schema[new], schema[old] = schema[old], True
    if node.get("default") is not None:
        _set_default(schema, _written(node["default"], node, definitions), keep=keep_defaults)
    if "properties" in node:
        schema["properties"] = {
            name: _structural(child, definitions, keep_defaults=keep_defaults)
            for name, child in node["properties"].items()
        }
    for part in _INNER:
        if isinstance(node.get(part), dict):
            schema[part] = _structural(node[part], definitions, keep_defaults=keep_defaults)
    if node.get("additionalProperties") is True or ("type" not in node and "x-kubernetes-int-or-string" not in node):
        schema[_ANYTHING] = True
    return schema


def _resolved(node: Schema, definitions: Schema) -> Schema:
    """Inline references; absence says the same as null, so what may be null has just the type of its value."""
    while True:
        if "$ref" in node:
            inner = definitions[node["$ref"].rsplit("/", 1)[-1]]
        elif "anyOf" in node and "x-kubernetes-int-or-string" not in node:
            (inner,) = [branch for branch in node["anyOf"] if branch.get("type") != "null"]
        else:
            return node
        node = {**inner, **{key: value for key, value in node.items() if key not in ("$ref", "anyOf")}}


def _written(default: Any, node: Schema, definitions: Schema) -> Any:
    """Return a section's default in full, as rules are checked against it before those of its fields are filled in."""
    if "properties" not in node:
        return default
    fields = {name: _resolved(child, definitions) for name, child in node["properties"].items()}
    return {
        name: _written(value, fields[name], definitions)
        for name, value in default.items()
        if value is not None and "x-defaults-described" not in fields[name]
    }


def _set_default(schema: Schema, default: Any, *, keep: bool) -> None:
    if keep:
        schema["default"] = default
    elif default != [] and not isinstance(default, dict) and schema.get("format") != _SECRET:
        schema["description"] = f"{schema.get('description', '')} Default: {json.dumps(default)}.".lstrip()
