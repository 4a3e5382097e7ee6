"""Generated files are what hack/generate would write, and say what they are made from."""

from pathlib import Path

import yaml

from hack import generation
from hack.generation import reference
from hack.generation.values import strict, version_schema
from tests.unit.charts import helm
from tests.unit.charts.helm import ROOT, Json
from tests.unit.charts.schemas import crd, problems


def test_nothing_is_stale() -> None:
    assert generation.stale() == []


def test_a_change_is_seen(tmp_path: Path) -> None:
    changed = (ROOT / generation.CRD).read_text().replace("shortNames:", "shortName:")
    (tmp_path / "crds").mkdir()
    (tmp_path / generation.CRD).write_text(changed)
    difference = generation.difference(generation.CRD, tmp_path)
    assert "-    shortNames:\n+    shortName:\n" in difference


def test_the_definition_fits_kubernetes() -> None:
    assert problems(crd()) == []


class TestInstallManifest:
    def objects(self) -> list[Json]:
        return list(yaml.load_all((ROOT / "manifests" / "install.yaml").read_text(), yaml.CSafeLoader))

    def test_is_the_chart_in_a_restricted_namespace(self) -> None:
        namespace, *others = self.objects()
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
        identities = [(item["kind"], item["metadata"]["name"]) for item in others]
        assert identities == [(item["kind"], item["metadata"]["name"]) for item in helm.template(helm.OPERATOR)]

    def test_fits_kubernetes(self) -> None:
        assert [problem for item in self.objects() for problem in problems(item)] == []

    def test_does_not_say_that_helm_manages_it(self) -> None:
        text = (ROOT / "manifests" / "install.yaml").read_text()
        assert not [word for word in ("helm.sh/chart", "managed-by: Helm") if word in text]


def test_strict_schemas_refuse_what_the_api_server_refuses() -> None:
    schema = {
        "type": "object",
        "properties": {
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "seconds": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
            "memory": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            "items": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        },
    }
    assert strict(schema) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "open": {"type": "object"},
            "seconds": {"type": "number", "exclusiveMinimum": 0},
            "memory": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "items": {
                "type": "array",
                "items": {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}},
            },
        },
    }


def test_reference_has_a_row_for_every_field() -> None:
    page = reference.page(crd())
    for name in version_schema(crd())["properties"]["spec"]["properties"]["engine"]["properties"]:
        assert f"\n| `{name}` |" in page.partition("\n## spec.engine\n")[2].partition("\n## ")[0]
