"""The definition that is made from the models: what Kubernetes and its users need of it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from tandem_operator.api.schema import FIELDS_AT, crd

MOST_BYTES = 262_144  # kubectl apply keeps the whole, as JSON in one line, in annotations of this size at most


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from nodes(schema[part], f"{path}[]")


def version() -> dict[str, Any]:
    (only,) = crd()["spec"]["versions"]
    return only


POINTER = re.compile(rf"{FIELDS_AT}(spec[.\w]+)\.$")


def described(node: dict[str, Any]) -> str:
    return str(node.get("description", ""))


ALL = dict(nodes(version()["schema"]["openAPIV3Schema"]))


def test_the_schema_is_structural() -> None:
    for path, node in ALL.items():
        assert "$ref" not in node, path
        assert "title" not in node, path
        assert "null" not in str(node.get("type")), path
        assert "type" in node or node.get("x-kubernetes-int-or-string"), path
        if not node.get("x-kubernetes-int-or-string"):
            assert "anyOf" not in node, path
        assert not ("properties" in node and "additionalProperties" in node), path


def test_every_field_has_a_description_here_or_where_it_is_pointed_to() -> None:
    elsewhere = {path: f".{pointed[1]}" for path, node in ALL.items() if (pointed := POINTER.search(described(node)))}
    assert len(elsewhere) > 20
    first = r"\.spec\.(additionalEngines\[\]|embeddingEngine|orchestrator)\.\w+"
    assert [path for path in elsewhere if not re.fullmatch(first, path)] == [], "a tier's own fields are all described"

    def has_one(path: str) -> bool:
        pointer = next((each for each in elsewhere if re.match(rf"{re.escape(each)}[.[]", path)), None)
        there = f"{elsewhere[pointer]}{path.removeprefix(pointer)}" if pointer else path
        assert there == path or not described(ALL[path]), "one place is enough"
        return bool(described(ALL[there]))

    assert [path for path in ALL if not path.endswith("[]") and path != ".metadata" and not has_one(path)] == []


def test_every_rule_names_a_field_that_exists_and_says_what_to_do() -> None:
    rules = [(path, rule) for path, node in ALL.items() for rule in node.get("x-kubernetes-validations", [])]
    assert len(rules) > 15
    for path, rule in rules:
        assert f"{path}{rule.get('fieldPath', '')}" in ALL, rule
        assert len(rule["message"]) > 20, rule


def test_the_definition_fits_into_an_annotation() -> None:
    kept = json.dumps(crd(), separators=(",", ":"))
    for sign in "<>&":  # kubectl, which Go's JSON escapes
        kept = kept.replace(sign, f"\\u{ord(sign):04x}")
    assert len(kept.encode()) < MOST_BYTES


def test_columns_and_names_are_those_that_users_type() -> None:
    names = crd()["spec"]["names"]
    assert (names["kind"], names["plural"], names["shortNames"]) == ("LLMService", "llmservices", ["llm"])
    columns = [column["name"] for column in version()["additionalPrinterColumns"] if not column.get("priority")]
    assert columns == ["Model", "Engine", "GPUs", "Ready", "URL", "Age"]


def test_settings_of_the_orchestrator_are_described_but_not_stored() -> None:
    config = {path: node for path, node in ALL.items() if path.startswith(".spec.orchestrator.config")}
    assert len(config) > 10
    assert not [path for path, node in config.items() if "default" in node]
    assert "Default:" in config[".spec.orchestrator.config.drainSeconds"]["description"]


def test_a_quantity_is_a_number_or_a_text() -> None:
    quantity = ALL[".spec.engine.sharedMemory"]
    assert quantity["x-kubernetes-int-or-string"] is True
    assert "pattern" in quantity


def test_free_json_is_kept_as_it_is_written() -> None:
    free = ALL[".spec.orchestrator.config.models[].inject"]
    assert free == {
        "type": "object",
        "maxProperties": 64,
        "description": free["description"],
        "x-kubernetes-preserve-unknown-fields": True,
    }


def test_free_json_is_only_within_lists() -> None:
    """Who set which field is told of the parts of an object, as deep as it is, and the API server refuses to read
    its own list when that is too deep; a list without keys is one field."""
    free = [path for path, node in ALL.items() if node.get("x-kubernetes-preserve-unknown-fields")]
    assert free
    for path in free:
        parents = [ALL[path[: at.start()]] for at in re.finditer(r"\[\]", path)]
        assert any(node.get("x-kubernetes-list-type", "atomic") == "atomic" for node in parents), path


def test_wherever_a_secret_is_named_the_api_server_refuses_a_file() -> None:
    named = {path: node for path, node in ALL.items() if "secretKey" in node.get("properties", {})}
    assert len(named) > 5
    for path, node in named.items():
        (rule,) = node["x-kubernetes-validations"]
        assert rule["rule"] == "has(self.secretName) && !has(self.file)", path


def test_a_secret_s_default_is_not_told() -> None:
    assert "**" not in yaml.safe_dump(crd())
