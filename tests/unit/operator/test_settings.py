"""The orchestrator's settings in an LLMService: what may be said there, and what a pod gets to read."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from tandem_contract.config import NEEDS_RESTART, OrchestratorConfig, OrchestratorSettings
from tandem_operator.api import llmservice
from tandem_operator.api.llmservice import LLMService
from tandem_operator.api.settings import RULES, secrets
from tandem_operator.documents import problems
from tandem_operator.manifests import Platform, build
from tandem_orchestrator.engines.upstream import RESOLVE_SECONDS, RESOLVE_TIMEOUT

Json = dict[str, Any]
NO_SCHEMA = {
    "name": "mine",
    "description": "x",
    "url": "http://a",
    "parameters": {"properties": {"n": {"type": "numbr"}}},
}
SECRET = {"secretName": "s", "secretKey": "k"}
ENGINE = {
    "name": "engine",
    "url": "http://demo-engine-pods:8000",
    "discovery": "dns",
    "model": "org/model",
    "apiKeyFile": "/etc/tandem/engine-key/api-key",
    "previousApiKeyFile": "/etc/tandem/engine-key/previous-api-key",
}


OURS = {
    "server": {"workers": 1},
    "database": {"url": "sqlite:////tmp/tandem.db"},
    "responses": {"store": False},
}


@pytest.mark.parametrize("depth", [64, 65, 5_000])
def test_free_json_is_bounded_in_depth(depth: int) -> None:
    inject: Any = []
    for level in range(depth - 1):
        inject = {"a": inject} if level % 2 == depth % 2 else [inject, 1]
    config = {"models": [{"name": "m", "inject": inject if isinstance(inject, dict) else {"a": inject[0]}}]}
    if depth <= 64:
        assert service(config)
        return
    with pytest.raises(ValidationError) as error:
        service(config)
    (problem,) = problems(error.value)
    assert problem == "spec.orchestrator.config.models.0.inject: must not be nested deeper than 64 levels"


def service(config: Json | None = None, **orchestrator: Any) -> LLMService:
    spec = {"model": {"source": "hf://org/model"}, "orchestrator": {"config": config or {}, **orchestrator}}
    return LLMService.model_validate({"metadata": {"name": "demo", "namespace": "ns"}, "spec": spec})


def child(built: LLMService, kind: str, name: str) -> Json:
    platform = Platform(frozenset({"monitoring.coreos.com/v1/ServiceMonitor"}))
    (found,) = [m for m in build(built, platform) if (m["kind"], m["metadata"]["name"]) == (kind, name)]
    return found


def rendered(config: Json, **orchestrator: Any) -> Json:
    """The configuration file, which the orchestrator must be able to read."""
    text = child(service(config, **orchestrator), "ConfigMap", "demo-orchestrator")["data"]["config.yaml"]
    document: Json = yaml.safe_load(text)
    OrchestratorConfig.model_validate(document)
    return document


def template(config: Json, **orchestrator: Any) -> Json:
    found: Json = child(service(config, **orchestrator), "Deployment", "demo-orchestrator")["spec"]["template"]
    return found


def container(config: Json, **orchestrator: Any) -> Json:
    found: Json = template(config, **orchestrator)["spec"]["containers"][0]
    return found


REFUSED: dict[str, tuple[Json, str]] = {
    "a file": ({"keys": {"files": [{"file": "/keys"}]}}, "keys.files.0: in an LLMService a secret is named by secret"),
    "a file beside a Secret": (
        {"keys": {"admin": {**SECRET, "file": "/a"}}},
        "keys.admin: ",
    ),
    "a file of tasks": (
        {"tasksFrom": [{"file": "/tasks"}]},
        "tasksFrom.0: in an LLMService tasks outside of it are in",
    ),
    "a file of tasks beside a ConfigMap": ({"tasksFrom": [{"configMapName": "t", "file": "/t"}]}, "tasksFrom.0: "),
    "a key without its ConfigMap": ({"tasksFrom": [{"configMapKey": "t.yaml"}]}, "tasksFrom.0: "),
    "a key without its Secret": (
        {"redis": {"urlFrom": {"secretKey": "k"}}},
        "redis.urlFrom: ",
    ),
    "plain keys": ({"keys": {"values": ["hush"]}}, "keys: values must not be set"),
    "a database's password": (
        {"database": {"url": "postgresql://me:hush@db/x"}},
        "database: url must not hold a password",
    ),
    "a password as parameter": (
        {"database": {"url": "postgresql://db/x?password=hush"}},
        "database: url must not hold a password",
    ),
    "a Redis' password": ({"redis": {"url": "redis://:hush@redis:6379/0"}}, "redis: url must not hold a password"),
    "a tool's password": (
        {"tools": {"queryDatabase": {"url": "postgresql://me:hush@db/x"}}},
        "tools.queryDatabase: url must not hold a password",
    ),
    "SQLite": ({"database": {"url": "sqlite:////tmp/x.db"}}, "must begin with postgresql://"),
    "an engine's key file": (
        {"upstreams": [{"name": "a", "url": "http://a", "apiKeyFile": "/a"}]},
        "upstreams.0: in an LLMService an upstream's key is in a Secret",
    ),
}


@pytest.mark.parametrize(("config", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_pod_or_a_secret_would_suffer_from_is_refused_by_its_path(config: Json, says: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        service(config)
    (line,) = problems(refusal.value)
    assert line.startswith("spec.orchestrator.config")
    assert says in line
    assert "hush" not in line, "the secret itself"


def test_keys_in_a_file_that_goes_with_its_pod_are_refused() -> None:
    with pytest.raises(ValidationError) as refusal:
        service({"keys": {"admin": SECRET}})
    (line,) = problems(refusal.value)
    assert line.startswith("spec.orchestrator: orchestrator.config.keys.admin needs a database")


@pytest.mark.parametrize(
    "config",
    [
        {"database": {"url": "postgresql://me@db:5432/x"}},
        {"database": {"url": "postgres://db/x"}},
        {"redis": {"url": "redis://redis:6379/0"}},
        {"keys": {"admin": SECRET}, "database": {"urlFrom": SECRET}},
        {"keys": {"admin": SECRET}, "database": {"url": "postgresql://me@db/x"}},
    ],
)
def test_what_holds_no_secret_and_outlives_a_pod_is_accepted(config: Json) -> None:
    assert rendered(config)


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"upstreams": [{"name": "engine", "url": "http://other"}]}, "orchestrator.config.upstreams"),
        ({"models": [{"name": "a", "aliases": ["x"]}, {"name": "b", "aliases": ["x"]}]}, "orchestrator.config.models"),
        ({"models": [{"name": "a", "fallback": "b"}, {"name": "b", "fallback": "a"}]}, "orchestrator.config.models"),
        ({"tools": {"http": [NO_SCHEMA]}}, "orchestrator.config.tools.http.0.parameters.properties.n.type"),
    ],
)
def test_what_contradicts_itself_across_sections_is_refused_with_its_path(config: Json, path: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        service(config)
    assert path in "; ".join(problems(refusal.value))


def test_no_plain_secret_is_without_a_rule() -> None:
    """A section that grows a secret of its own must say here how an LLMService keeps it out of sight."""
    schema = OrchestratorSettings.model_json_schema()
    ruled = {kind.__name__ for kind in RULES}
    found = {name for name, definition in schema["$defs"].items() if any(plain_secrets(definition))}
    assert found
    assert found <= ruled


def plain_secrets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("format") == "password":
            yield "found"
        for child_node in node.values():
            yield from plain_secrets(child_node)
    elif isinstance(node, list):
        for item in node:
            yield from plain_secrets(item)


def test_the_file_has_the_engine_first_and_what_was_set_and_nothing_else() -> None:
    other = {"name": "other", "url": "http://other:8000", "apiKey": SECRET}
    config = {
        "upstreams": [other],
        "models": [{"name": "org/model", "aliases": ["chat"], "inject": {"logprobs": None, "stop": ["a"]}}],
        "keys": {"files": [{"secretName": "all"}]},
        "guardrails": [{"name": "judge", "moderation": {"url": "https://judge", "apiKey": SECRET}}],
        "tasksFrom": [{"configMapName": "tickets"}, {"configMapName": "more", "configMapKey": "replies.yaml"}],
        "tools": {"attach": "always"},
    }
    judge = {"url": "https://judge", "apiKey": {"file": "/etc/tandem/secrets/s/k"}}
    assert rendered(config) == {
        **OURS,
        "upstreams": [ENGINE, {**other, "apiKey": {"file": "/etc/tandem/secrets/s/k"}}],
        "models": config["models"],
        "tools": {"attach": "always"},
        "keys": {"files": [{"file": "/etc/tandem/secrets/all"}]},
        "guardrails": [{"name": "judge", "moderation": judge}],
        "tasksFrom": [
            {"file": "/etc/tandem/config-maps/tickets"},
            {"file": "/etc/tandem/config-maps/more/replies.yaml"},
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "takes"),
    [
        (["--scheduling-policy=priority"], True),
        (["--scheduling_policy", "priority"], True),
        (["--scheduling-policy=priority", "--scheduling-policy=fcfs"], False),
        (["--scheduling-policy=fcfs"], False),
        ([], False),
    ],
)
def test_the_orchestrator_is_told_of_an_engine_that_knows_priorities(arguments: list[str], takes: bool) -> None:  # noqa: FBT001
    spec = {"model": {"source": "hf://org/model"}, "engine": {"extraArgs": arguments}}
    built = LLMService.model_validate({"metadata": {"name": "demo", "namespace": "ns"}, "spec": spec})
    config = yaml.safe_load(child(built, "ConfigMap", "demo-orchestrator")["data"]["config.yaml"])
    assert config["upstreams"][0].get("priority", False) is takes


def test_each_secret_is_mounted_once_with_the_keys_that_are_named() -> None:
    config = {
        "keys": {"files": [{"secretName": "all"}, {**SECRET, "secretKey": "b"}]},
        "tracing": {"headers": SECRET},
        "guardrails": [{"name": "judge", "moderation": {"url": "https://judge", "apiKey": {"secretName": "judge"}}}],
    }
    pod, mounts = template(config)["spec"], container(config)["volumeMounts"]
    by_name = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    mounted = {
        mount["mountPath"]: (by_name[mount["name"]], mount["readOnly"]) for mount in mounts if mount["name"] in by_name
    }
    shared = {"defaultMode": 0o440, "optional": False}
    items = [{"key": "b", "path": "b"}, {"key": "k", "path": "k"}]
    assert mounted == {
        "/etc/tandem/secrets/all": ({"secretName": "all", **shared}, True),
        "/etc/tandem/secrets/s": ({"secretName": "s", **shared, "items": items}, True),
        "/etc/tandem/secrets/judge": ({"secretName": "judge", **shared}, True),
    }


def test_each_config_map_is_mounted_once_where_tasks_are_served() -> None:
    named = [{"configMapName": "all"}, {"configMapName": "one", "configMapKey": "b.yaml"}, {"configMapName": "all"}]
    built = service({"tasksFrom": named}, state={"postgres": {"urlFrom": SECRET}})
    pod = child(built, "Deployment", "demo-orchestrator")["spec"]["template"]["spec"]
    by_name = {volume["name"]: volume["configMap"] for volume in pod["volumes"] if "configMap" in volume}
    mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] in by_name]
    assert {mount["mountPath"]: by_name[mount["name"]] for mount in mounts} == {
        "/etc/tandem/config-maps/all": {"name": "all", "optional": False},
        "/etc/tandem/config-maps/one": {
            "name": "one",
            "optional": False,
            "items": [{"key": "b.yaml", "path": "b.yaml"}],
        },
    }
    assert not [mount for mount in mounts if "subPath" in mount], "such a one is never brought up to date"
    (job,) = [item for item in build(built, Platform()) if item["kind"] == "Job"]
    assert "config-maps" not in str(job["spec"]["template"]["spec"]["containers"])


def test_a_secret_with_a_long_name_can_be_mounted() -> None:
    names = [
        volume["name"]
        for volume in template({"keys": {"files": [{"secretName": "a." * 100 + "b"}]}})["spec"]["volumes"]
    ]
    assert all(len(name) <= 63 for name in names)
    assert len(names) == 3


def test_a_secret_that_is_named_with_and_without_a_key_is_read_whole() -> None:
    found = secrets(OrchestratorSettings.model_validate({"keys": {"files": [SECRET, {"secretName": "s"}]}}))
    assert found == {"s": frozenset()}


@pytest.mark.parametrize(("limit", "workers"), [(None, 1), ("100m", 1), ("1", 1), ("1500m", 2), (4, 4), ("1000", 64)])
def test_there_are_as_many_workers_as_cpus(limit: Any, workers: int) -> None:
    limits = {} if limit is None else {"cpu": limit}
    resources = {"requests": {"cpu": "100m"}, "limits": limits}
    assert rendered({}, resources=resources)["server"]["workers"] == workers
    assert rendered({"server": {"workers": 3}}, resources=resources)["server"]["workers"] == 3


def test_with_a_certificate_everything_speaks_https() -> None:
    tls = {
        "certificate": {"secretName": "tls", "secretKey": "tls.crt"},
        "key": {"secretName": "tls", "secretKey": "tls.key"},
    }
    secure = service({"server": {"tls": tls}})
    probes = [
        container({"server": {"tls": tls}})[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")
    ]
    assert [probe["scheme"] for probe in probes] == ["HTTPS"] * 3
    ports = child(secure, "Service", "demo")["spec"]["ports"]
    assert [(port["port"], port["targetPort"], port["appProtocol"]) for port in ports] == [
        (80, "http", "https"),
        (443, "http", "https"),
    ]
    (endpoint,) = child(secure, "ServiceMonitor", "demo-orchestrator")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"insecureSkipVerify": True})
    assert endpoint["targetPort"] == "metrics"
    (of_engine,) = child(secure, "ServiceMonitor", "demo-engine")["spec"]["endpoints"]
    assert "scheme" not in of_engine
    assert secure.url == "https://demo.ns.svc"


@pytest.mark.parametrize(("server", "port"), [({}, 8002), ({"metricsPort": 9100}, 9100)])
def test_metrics_have_a_port_that_no_service_leads_to(server: dict[str, int], port: int) -> None:
    made = container({"server": server})
    assert {each["name"]: each["containerPort"] for each in made["ports"]} == {"http": 8001, "metrics": port}
    assert {"name": "TANDEM_SERVER__METRICS_PORT", "value": str(port)} in made["env"]
    assert [each["targetPort"] for each in child(service(), "Service", "demo")["spec"]["ports"]] == ["http"]
    (endpoint,) = child(service(), "ServiceMonitor", "demo-orchestrator")["spec"]["endpoints"]
    assert (endpoint["targetPort"], "port" in endpoint) == ("metrics", False)


def test_the_orchestrator_finds_every_engine_pod_that_serves_and_none_that_ends() -> None:
    pods = child(service(), "Service", "demo-engine-pods")["spec"]
    assert pods["clusterIP"] == "None"
    assert not pods.get("publishNotReadyAddresses")
    assert pods["selector"] == child(service(), "Service", "demo-engine")["spec"]["selector"]
    (scraped,) = child(service(), "ServiceMonitor", "demo-engine")["spec"]["endpoints"]
    assert [port["name"] for port in pods["ports"]] != [scraped["port"]], "or Prometheus would count each pod twice"


def test_an_engine_that_ends_serves_until_every_orchestrator_has_forgotten_it() -> None:
    dns_answers_are_kept = 30  # what kubeadm and NodeLocal DNSCache set
    (engine,) = child(service(), "Deployment", "demo-engine")["spec"]["template"]["spec"]["containers"]
    serves_on = engine["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert serves_on >= dns_answers_are_kept + RESOLVE_SECONDS + RESOLVE_TIMEOUT


def test_only_what_is_read_at_start_rolls_the_pods() -> None:
    def mark(config: Json) -> str:
        stamp: str = template(config)["metadata"]["annotations"]["tandem.dev/config"]
        return stamp

    assert mark({"tools": {"maxRounds": 3}}) == mark({})
    assert mark({"models": [{"name": "org/model", "aliases": ["a"]}]}) == mark({})
    assert mark({"server": {"trustedHosts": ["a"]}}) == mark({})
    assert mark({"server": {"workers": 2}}) != mark({})
    assert mark({"redis": {"url": "redis://redis"}}) != mark({})


def test_what_is_read_at_start_are_settings_of_the_file() -> None:
    for path in NEEDS_RESTART:
        found: Any = OrchestratorConfig.model_validate({"upstreams": [ENGINE]}).model_dump(by_alias=True)
        for name in path.split("."):
            assert name in found
            found = found[name]


def test_what_follows_from_a_spec_is_worked_out_once(monkeypatch):
    counted: list[str] = []

    def count(name):
        work = getattr(llmservice, name)

        def counting(*arguments):
            counted.append(name)
            return work(*arguments)

        monkeypatch.setattr(llmservice, name, counting)

    count("configuration")
    count("secrets")
    asked = LLMService.model_validate({"metadata": {"name": "demo"}, "spec": {"model": {"source": "hf://a/b"}}})
    build(asked, Platform(), "1")
    build(asked, Platform(), "2")
    assert sorted(counted) == ["configuration", "secrets"]
