"""charts/tandem-operator: what it renders fits Kubernetes 1.37, and is as narrow and as lasting as its README says."""

import re
from dataclasses import fields

import pytest
import tandem_contract
import yaml
from tandem_operator.api.allowance import Allowance
from tandem_operator.manifests import Images

from tests.unit.charts import helm
from tests.unit.charts.helm import OPERATOR, Json
from tests.unit.charts.schemas import crd, problems, unrestricted

MONITORING = "monitoring.coreos.com/v1"
DIGEST = f"sha256:{'0' * 64}"
VARIANTS: dict[str, Json] = {
    "defaults": {},
    "two replicas": {"replicas": 2},
    "some namespaces": {"watchNamespaces": ["team-a", "team-b"]},
    "nothing optional": {
        "crds": {"install": False},
        "rbac": {"create": False, "userRoles": False},
        "authors": {"admissionPolicy": False},
        "serviceAccount": {"create": False, "name": "mine"},
        "networkPolicy": {"enabled": False},
    },
    "everything": {
        "replicas": 3,
        "image": {"repository": "registry.example.com/operator", "digest": DIGEST, "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "images": {"orchestrator": "registry.example.com/orchestrator:1", "engineCpu": "registry.example.com/vllm:1"},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "serviceAccount": {"annotations": {"example.com/role": "operator"}},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {
            "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
        },
        "authors": {"secrets": {"selector": "llm=allowed"}, "serviceTypes": ["ClusterIP"], "tolerations": []},
        "resources": {"limits": {"cpu": 1}},
        "podLabels": {"team": "platform"},
        "podAnnotations": {"example.com/note": "1"},
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "infra", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    },
}


def rendered(values: Json | None = None) -> dict[tuple[str, str], Json]:
    """The chart's objects by kind and name."""
    objects = helm.template(OPERATOR, values, apis=(MONITORING,))
    return {(item["kind"], item["metadata"]["name"]): item for item in objects}


def deployment(values: Json | None = None) -> Json:
    return rendered(values)["Deployment", "tandem-operator"]


def container(values: Json | None = None) -> Json:
    (only,) = deployment(values)["spec"]["template"]["spec"]["containers"]
    found: Json = only
    return found


def environment(values: Json | None = None) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container(values)["env"]}


def test_lint() -> None:
    helm.output("lint", "--strict", "--quiet", str(OPERATOR))


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_every_object_fits_its_schema(values: Json) -> None:
    assert [problem for item in rendered(values).values() for problem in problems(item)] == []


@pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS)
def test_the_pod_is_restricted(values: Json) -> None:
    assert list(unrestricted(deployment(values)["spec"]["template"]["spec"])) == []
    assert container(values)["securityContext"]["readOnlyRootFilesystem"] is True


def test_defaults_render_these_objects() -> None:
    assert set(rendered()) == {
        ("CustomResourceDefinition", "llmservices.tandem.dev"),
        ("ClusterRole", "tandem-llmservice-edit"),
        ("ClusterRole", "tandem-llmservice-view"),
        *((kind, "tandem-operator") for kind in ("ClusterRole", "ClusterRoleBinding", "Deployment")),
        *((kind, "tandem-operator") for kind in ("NetworkPolicy", "Service", "ServiceAccount")),
        ("ValidatingAdmissionPolicy", "tandem-llmservice-authors"),
        ("ValidatingAdmissionPolicyBinding", "tandem-llmservice-authors"),
        *((kind, "tandem-operator-leader") for kind in ("Role", "RoleBinding")),
        *((kind, "tandem-operator-accelerators") for kind in ("ClusterRole", "ClusterRoleBinding")),
    }


def test_everything_can_be_left_out() -> None:
    assert set(rendered(VARIANTS["nothing optional"])) == {
        ("Deployment", "tandem-operator"),
        ("Service", "tandem-operator"),
    }


class TestDefinition:
    """Helm never upgrades a chart's crds/ folder, and deletes what it owns on uninstall."""

    def test_upgrades_with_the_release(self) -> None:
        assert not (OPERATOR / "crds").exists()
        definition = rendered()["CustomResourceDefinition", "llmservices.tandem.dev"]
        assert definition["spec"] == crd()["spec"]

    def test_outlives_the_release(self) -> None:
        metadata = rendered()["CustomResourceDefinition", "llmservices.tandem.dev"]["metadata"]
        assert metadata["annotations"]["helm.sh/resource-policy"] == "keep"


class TestRights:
    def test_no_wildcards(self) -> None:
        roles = [item for (kind, _), item in rendered().items() if kind in ("Role", "ClusterRole")]
        granted = [entry for role in roles for rule in role["rules"] for entries in rule.values() for entry in entries]
        assert "*" not in granted

    def test_users_resources_are_only_read(self) -> None:
        rules = rendered()["ClusterRole", "tandem-operator"]["rules"]
        (rule,) = [rule for rule in rules if "llmservices" in rule["resources"]]
        assert set(rule["verbs"]) == {"get", "list", "watch"}

    def test_every_rule_says_why(self) -> None:
        lines = (OPERATOR / "templates" / "_rules.tpl").read_text().splitlines()
        rules = [number for number, line in enumerate(lines) if line.startswith("- apiGroups")]
        assert rules
        assert [lines[number] for number in rules if not lines[number - 1].startswith("#")] == []

    def test_chosen_namespaces_need_no_cluster_wide_rights(self) -> None:
        objects = helm.template(OPERATOR, {"watchNamespaces": ["team-a", "team-b"], "rbac": {"userRoles": False}})
        assert not [item for item in objects if item["kind"].startswith("ClusterRole")]
        for kind in ("Role", "RoleBinding"):
            places = [item["metadata"]["namespace"] for item in objects if item["kind"] == kind]
            assert sorted(places) == ["tandem-system", "team-a", "team-b"]

    def test_chosen_namespaces_have_the_rights_of_the_whole_cluster(self) -> None:
        cluster = rendered()["ClusterRole", "tandem-operator"]["rules"]
        assert rendered({"watchNamespaces": ["team-a"]})["Role", "tandem-operator"]["rules"] == cluster

    def test_bindings_name_the_operators_account(self) -> None:
        for values in ({}, {"watchNamespaces": ["team-a"]}, {"serviceAccount": {"name": "mine"}}):
            account = deployment(values)["spec"]["template"]["spec"]["serviceAccountName"]
            bindings = [item for (kind, _), item in rendered(values).items() if kind.endswith("RoleBinding")]
            assert [item["subjects"][0]["name"] for item in bindings] == [account] * len(bindings)

    def test_users_roles_are_aggregated(self) -> None:
        edit, view = (rendered()["ClusterRole", f"tandem-llmservice-{role}"] for role in ("edit", "view"))
        assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
        assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
        assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]


class TestAuthors:
    def test_what_they_may_ask_for_reaches_the_operator(self) -> None:
        assert Allowance.from_environment(environment()) == Allowance()
        asked = {
            "secrets": {"names": ["llm-*"], "selector": "example.com/llm in (allowed)"},
            "serviceTypes": ["ClusterIP"],
            **{field: ["it's", ""] for field in ("serviceAnnotations", "tolerations", "podLabels")},
            **{field: [] for field in ("podAnnotations", "priorityClassNames")},
        }
        given = Allowance.from_environment(environment({"authors": asked}))
        assert given == Allowance.model_validate(asked)

    @pytest.mark.parametrize("field", ["tolerations", "podLabels", "podAnnotations", "priorityClassName"])
    def test_what_is_listed_is_for_all(self, field: str) -> None:
        value = "priorityClassNames" if field == "priorityClassName" else field

        def looked_at(values: Json) -> bool:
            policy = rendered(values)["ValidatingAdmissionPolicy", "tandem-llmservice-authors"]
            return any(f"tier.{field}" in rule["expression"] for rule in policy["spec"]["validations"])

        assert looked_at({})
        assert looked_at({"authors": {value: ["a", "*"]}})
        assert not looked_at({"authors": {value: ["a"]}})


class TestPod:
    def test_watches_the_chosen_namespaces(self) -> None:
        assert not [argument for argument in container()["args"] if argument.startswith("--namespace")]
        chosen = container({"watchNamespaces": ["team-a", "team-b"]})["args"]
        assert chosen[-2:] == ["--namespace=team-a", "--namespace=team-b"]

    def test_only_one_acts_at_a_time(self) -> None:
        assert "--leader-elect" in container()["args"]
        (rule,) = rendered()["Role", "tandem-operator-leader"]["rules"]
        assert (rule["resources"], set(rule["verbs"])) == (["leases"], {"get", "create", "update", "patch"})

    def test_image(self) -> None:
        assert container()["image"] == f"ghcr.io/tandem-dev/tandem-operator:{tandem_contract.__version__}"
        assert container({"image": {"tag": "2.0.0"}})["image"].endswith("/tandem-operator:2.0.0")
        assert container({"image": {"tag": "2.0.0", "digest": DIGEST}})["image"].endswith(f"/tandem-operator@{DIGEST}")

    def test_default_images_reach_the_operator(self) -> None:
        assert [name for name in environment() if name.endswith("_IMAGE")] == ["TANDEM_OPERATOR_IMAGE"]
        names = ("orchestrator", "orchestratorFull", "engineNvidia", "engineAmd", "engineCpu")
        images = dict.fromkeys(names, "example.com/own:1")
        given = Images.from_environment(environment({"images": images}))
        assert given.operator == container({})["image"]
        others = [image.name for image in fields(given) if image.name != "operator"]
        assert {getattr(given, name) for name in others} == {"example.com/own:1"}

    def test_is_found_by_service_and_monitor(self) -> None:
        objects = rendered(VARIANTS["everything"])
        service, monitor = objects["Service", "tandem-operator"], objects["ServiceMonitor", "tandem-operator"]
        spec = deployment(VARIANTS["everything"])["spec"]
        selector = spec["selector"]["matchLabels"]
        assert service["spec"]["selector"] == selector
        assert selector.items() <= spec["template"]["metadata"]["labels"].items()
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]

    def test_disruption_budget_only_with_standby(self) -> None:
        assert ("PodDisruptionBudget", "tandem-operator") not in rendered()
        assert ("PodDisruptionBudget", "tandem-operator") in rendered({"replicas": 2})


def test_monitor_needs_its_api() -> None:
    values = {"serviceMonitor": {"enabled": True}}
    assert ("ServiceMonitor", "tandem-operator") in rendered(values)
    assert "ServiceMonitor" not in {item["kind"] for item in helm.template(OPERATOR, values)}
    assert "does not know ServiceMonitors" in helm.notes(OPERATOR, values)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"replica": 2}, "replica"),
        ({"image": {"tagg": "1"}}, "tagg"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"replicas": -1}, "/replicas"),
        ({"authors": {"toleration": []}}, "toleration"),
        ({"authors": {"serviceTypes": ["ExternalName"]}}, "/authors/serviceTypes/0"),
        ({"watchNamespaces": "team-a"}, "/watchNamespaces"),
        ({"resources": {"limits": {"memory": "lots"}}}, "/resources/limits/memory"),
    ],
)
def test_wrong_values_are_refused_by_name(values: Json, field: str) -> None:
    assert field in helm.refusal(OPERATOR, values)


def test_notes_give_a_command_that_works() -> None:
    text = helm.notes(OPERATOR)
    manifest = re.search(r"<<'EOF'\n(.*?)  EOF", text, re.DOTALL)
    assert manifest
    assert problems(yaml.safe_load(manifest[1])) == []
    assert "kubectl get llm qwen --watch" in text


def test_another_release_name_names_the_chart() -> None:
    objects = helm.template(OPERATOR, release="llm")
    assert "llm-tandem-operator" in {item["metadata"]["name"] for item in objects if item["kind"] == "Deployment"}


def test_chart_and_code_have_one_version() -> None:
    for chart in (helm.OPERATOR, helm.LLMSERVICE):
        description = yaml.safe_load((chart / "Chart.yaml").read_text())
        assert (description["version"], description["appVersion"]) == (tandem_contract.__version__,) * 2
