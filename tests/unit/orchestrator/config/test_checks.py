"""What one section of the settings cannot know about another."""

import pytest
from tandem_contract.config import OrchestratorConfig, checks


def config(**settings):
    settings.setdefault("upstreams", [{"name": "a", "url": "http://a", "model": "big"}])
    return OrchestratorConfig.model_validate(settings)


def paths(problems):
    return [problem.partition(":")[0] for problem in problems]


def models(*fallbacks):
    return [{"name": name, "fallback": fallback} for name, fallback in fallbacks]


def test_settings_that_agree_have_no_errors():
    assert checks.errors(config(models=models(("big", "small"), ("small", None)))) == []


def test_names_that_stand_twice():
    upstreams = [{"name": name, "url": "http://a"} for name in ("a", "b", "a")]
    assert paths(checks.errors(config(upstreams=upstreams))) == ["upstreams.2.name"]
    twice = [{"name": "big", "aliases": ["x", "x"]}, {"name": "small", "aliases": ["big"]}, {"name": "small"}]
    found = checks.errors(config(models=twice))
    assert paths(found) == ["models.0.aliases.1", "models.1.aliases.0", "models.2.name"]
    assert "models.0.name" in found[1]


def test_authorities_for_an_engine_that_speaks_no_tls():
    tls = {"ca": {"file": "ca.crt"}}
    upstreams = [{"name": scheme, "url": f"{scheme}://a", "tls": tls} for scheme in ("https", "http")]
    assert paths(checks.errors(config(upstreams=upstreams))) == ["upstreams.1.tls"]


def upstream(name, **settings):
    return {"name": name, "url": f"http://{name}", "model": name, **settings}


@pytest.mark.parametrize(
    ("upstreams", "wrong"),
    [
        ([upstream("a"), upstream("b", candidateOf="a", weight=100)], None),
        ([upstream("b", candidateOf="a"), upstream("a")], None),
        ([upstream("a"), upstream("b", candidateOf="c")], "upstreams.1.candidateOf"),
        ([upstream("a", candidateOf="a")], "upstreams.0.candidateOf"),
        ([upstream("a"), upstream("b", candidateOf="a"), upstream("c", candidateOf="b")], "upstreams.2.candidateOf"),
        ([upstream("a"), upstream("b", candidateOf="a"), upstream("c", candidateOf="a")], "upstreams.2.candidateOf"),
        ([upstream("a", apiKeyFile="now", previousApiKeyFile="before")], None),
        ([upstream("a", previousApiKeyFile="before")], "upstreams.0.previousApiKeyFile"),
    ],
)
def test_candidates_and_previous_keys(upstreams, wrong):
    assert paths(checks.errors(config(upstreams=upstreams))) == ([wrong] if wrong else [])


def test_clients_ask_for_no_model_of_a_candidate():
    upstreams = [upstream("a"), upstream("b", candidateOf="a")]
    wrong = config(upstreams=upstreams, models=models(("a", "c"), ("b", "c")))
    (found,) = checks.errors(wrong)
    assert found.startswith("models.1.name: 'b' is served by a candidate alone")
    assert "models.0.fallback" in paths(checks.warnings(config(upstreams=upstreams, models=models(("a", "b")))))
    upstreams[1]["model"] = "a"
    assert checks.errors(config(upstreams=upstreams, models=models(("a", None)))) == []


def test_a_weight_that_nobody_heeds():
    found = paths(checks.warnings(config(upstreams=[upstream("a", weight=5)])))
    assert "upstreams.0.weight" in found


@pytest.mark.parametrize(
    ("fallbacks", "endless"),
    [
        ([("a", "a")], ["models.0.fallback"]),
        ([("a", "b"), ("b", "c"), ("c", None)], []),
        ([("a", "b"), ("b", "a"), ("c", "a")], ["models.0.fallback", "models.1.fallback"]),
    ],
)
def test_fallbacks_that_never_end(fallbacks, endless):
    assert paths(checks.errors(config(models=models(*fallbacks)))) == endless


def test_tools_of_one_name():
    http = [{"name": name, "description": "x", "url": "http://a"} for name in ("calculate_math", "web_search", "mine")]
    search = {"provider": "searxng", "url": "http://a"}
    found = checks.errors(config(tools={"http": [*http, http[2]], "webSearch": search}))
    assert paths(found) == ["tools.http.0.name", "tools.http.1.name", "tools.http.3.name"]


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({"properties": {"n": {"type": "numbr"}}}, ["tools.http.0.parameters.properties.n.type"]),
        ({"$ref": "http://127.0.0.1:9/schema"}, ["tools.http.0.parameters"]),
        ({"properties": {"n": {"pattern": "("}}}, ["tools.http.0.parameters.properties.n.pattern"]),
        ({"properties": {"n": {"type": "number"}}}, []),
    ],
)
def test_parameters_that_are_no_json_schema(parameters, where):
    tool = {"name": "mine", "description": "x", "url": "http://a", "parameters": parameters}
    assert paths(checks.errors(config(tools={"http": [tool]}))) == where


def test_a_fallback_by_an_alias_is_followed():
    circle = [{"name": "a", "aliases": ["x"], "fallback": "b"}, {"name": "b", "fallback": "x"}]
    assert "a -> b -> a" in checks.errors(config(models=circle))[0]


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({"keys": {"values": ["k"]}}, []),
        ({}, ["keys"]),
        ({"keys": {"required": True}}, ["keys.required"]),
        ({"keys": {"required": False, "values": ["k"]}}, ["keys.required"]),
        ({"keys": {"values": ["k"]}, "models": models(("big", "nowhere"))}, ["models.0.fallback"]),
        ({"keys": {"values": ["k"]}, "tracing": {"headers": {"file": "f"}}}, ["tracing.headers"]),
        ({"keys": {"values": ["k"]}, "redis": {"answersSeconds": 60}}, ["redis.answersSeconds"]),
        ({"keys": {"values": ["k"]}, "models": [{"name": "big", "fallbackSeconds": 1}]}, ["models.0.fallbackSeconds"]),
    ],
)
def test_what_most_often_is_a_mistake(settings, warned):
    assert paths(checks.warnings(config(**settings))) == warned


def test_issuers_and_plans_of_one_name():
    plans = [{"name": name} for name in ("gold", "gold")]
    first = {"issuer": "https://a", "audiences": ["b"], "tenant": "t", "claims": {"plan": "p"}, "plans": plans}
    found = checks.errors(config(oidc={"issuers": [first, {**first, "plans": plans[:1]}]}))
    assert paths(found) == ["oidc.issuers.1.issuer", "oidc.issuers.0.plans.1.name"]


def test_keys_that_come_over_http_are_warned_of():
    issuer = {"issuer": "https://a", "audiences": ["b"], "tenant": "t"}
    near = {**issuer, "issuer": "https://b", "jwksUrl": "http://localhost:8080/keys"}
    far = {**issuer, "jwksUrl": "http://localhost.example.com/keys"}
    assert paths(checks.warnings(config(oidc={"issuers": [near, far]}))) == ["oidc.issuers.1.jwksUrl"]
