from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from tandem_orchestrator.config import ConfigError, Source, load
from tandem_orchestrator.config.older_variables import OLDER_VARIABLES

URL = {"VLLM_URL": "http://engine:8000/v1"}
STAY = {"VLLM_URL", "VLLM_API_KEY", "MODEL_ID", "LOG_LEVEL", "API_KEYS", "OTEL_EXPORTER_OTLP_ENDPOINT"}
SETTINGS = [
    ("VLLM_BASE_URL", "http://other", "upstreams.0.url", "http://other"),
    ("VLLM_URL", "http://other", "upstreams.0.url", "http://other"),
    ("VLLM_API_KEY", "hush", "upstreams.0.apiKeyValue", "hush"),
    ("LLM_BACKEND", "ollama", "upstreams.0.type", "openai"),
    ("LLM_BACKEND", "vLLM", "upstreams.0.type", "vllm"),
    ("MODEL_ID", "org/model", "upstreams.0.model", "org/model"),
    ("LOG_LEVEL", "warning", "logging.level", "WARNING"),
    ("JSON_LOGS", "false", "logging.format", "text"),
    ("JSON_LOGS", "True", "logging.format", "json"),
    ("API_KEYS", "one, team:two ,", "keys.values", ["one", "team:two"]),
    ("STACK_API_KEYS", "one,team:two", "keys.values", ["one", "team:two"]),
    ("REQUIRE_API_KEY", "true", "keys.required", True),
    ("DATABASE_URL", "postgresql://db/x", "database.url", "postgresql://db/x"),
    ("DATABASE_URL", "sqlite+aiosqlite:///./keys.db", "database.url", "sqlite+aiosqlite:///./keys.db"),
    ("DATABASE_POOL_SIZE", "20", "database.poolSize", 20),
    ("DATABASE_MAX_OVERFLOW", "30", "database.maxOverflow", 30),
    ("REDIS_URL", "redis://r:6379", "redis.url", "redis://r:6379"),
    ("GLOBAL_REQUESTS_PER_MINUTE", "600", "rateLimits.requestsPerMinute", 600),
    ("TENANT_REQUESTS_PER_MINUTE", "60", "rateLimits.tenantRequestsPerMinute", 60),
    ("ENABLE_METRICS", "false", "standalone.metrics", False),
    ("MAX_REQUEST_SIZE", "4096", "limits.maxBodyBytes", 4096),
    ("WORKERS", "3", "server.workers", 3),
    ("CORS_ORIGINS", "https://a, https://b", "server.cors.allowOrigins", ["https://a", "https://b"]),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318", "tracing.endpoint", "http://collector:4318"),
]


def source(file=None, **variables):
    found = Source(file, variables)
    found.load()
    return found


@pytest.mark.parametrize(("variable", "text", "path", "value"), SETTINGS)
def test_each_sets_what_its_note_says(variable, text, path, value):
    read = Source(environ={"VLLM_BASE_URL": URL["VLLM_URL"], variable: text})
    found: Any = read.load().model_dump(by_alias=True)
    for part in path.split("."):
        found = found[int(part)] if part.isdigit() else found[part]
    assert plain(found) == value
    (*_, note) = ["", *(note for note in read.older.notes if note.startswith(f"{variable} "))]
    assert (note == "") if variable in STAY else note.startswith(f"{variable} is read as {path} (")
    engine = {"TANDEM_UPSTREAMS": "[{name: a, url: 'http://a'}]"}
    assert load(environ={**engine, variable: ""}) == load(environ=engine), "an empty variable sets nothing"


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def test_notes_name_variables_that_set_the_same():
    notes = source(**URL, DATABASE_POOL_SIZE="20", STACK_API_KEYS="k").older.notes
    assert notes == [
        "STACK_API_KEYS is read as keys.values (API_KEYS)",
        "DATABASE_POOL_SIZE is read as database.poolSize (TANDEM_DATABASE__POOL_SIZE)",
    ]
    assert load(environ={**URL, "TANDEM_DATABASE__POOL_SIZE": "20"}).database.pool_size == 20


def test_names_that_stay_say_nothing():
    said = {variable: text for variable, text, _, _ in SETTINGS if variable in STAY}
    older = source(**said).older
    assert said.keys() == STAY
    assert (older.notes, older.warnings) == ([], [])


def test_none_is_forgotten_here():
    nothing = {"REDIS_DEFAULT_TTL", "ENABLE_DB_MONITORING", "ENABLE_RATE_LIMITING"}
    assert OLDER_VARIABLES.keys() == nothing | {variable for variable, *_ in SETTINGS}


@pytest.mark.parametrize(
    ("backend", "url", "kind"),
    [("ollama", "http://localhost:11434", "openai"), ("vllm", "http://localhost:8000", "vllm")],
)
def test_a_backend_alone_is_at_its_usual_port(backend, url, kind):
    (engine,) = load(environ={"LLM_BACKEND": backend}).upstreams
    assert (engine.name, engine.url, engine.type) == ("engine", url, kind)


def test_a_backend_moves_no_engine(file):
    (engine,) = load(environ={**URL, "LLM_BACKEND": "ollama"}).upstreams
    assert (engine.url, engine.type) == (URL["VLLM_URL"], "openai")
    first, second = load(
        file("upstreams: [{name: a, url: 'http://a'}, {name: b, url: 'http://b'}]"), {"LLM_BACKEND": "ollama"}
    ).upstreams
    assert (first.url, first.type, second.type) == ("http://a", "openai", "vllm")


def test_without_rate_limiting_none_holds(file):
    text = "rateLimits: {requestsPerMinute: 5, defaults: {tokensPerMinute: 5}}"
    limits = {**URL, "TENANT_REQUESTS_PER_MINUTE": "60"}
    for said in ("false", "0"):
        assert load(file(text), {**limits, "ENABLE_RATE_LIMITING": said}).rate_limits == load(environ=URL).rate_limits
    assert load(file(text), {**limits, "ENABLE_RATE_LIMITING": "true"}) == load(file(text), limits)
    newer = {"ENABLE_RATE_LIMITING": "false", "TANDEM_RATE_LIMITS__REQUESTS_PER_MINUTE": "7"}
    assert load(file(text), {**limits, **newer}).rate_limits.requests_per_minute == 7
    assert "clears rateLimits" in source(**URL, ENABLE_RATE_LIMITING="false").older.notes[0]


@pytest.mark.parametrize("said", ["true", "false"])
def test_the_databases_metrics_are_there_in_any_case(said):
    read = source(**URL, ENABLE_DB_MONITORING=said)
    assert "always there" in read.older.notes[0]
    assert read.load() == load(environ=URL)


def test_what_somebody_may_wait_for_in_vain_is_a_warning():
    read = source(**URL, REDIS_DEFAULT_TTL="3600")
    assert read.older.warnings[0].startswith("REDIS_DEFAULT_TTL sets nothing: ")
    assert read.older.notes == []
    assert read.load() == load(environ=URL)


@pytest.mark.parametrize("variable", ["JSON_LOGS", "ENABLE_RATE_LIMITING", "LLM_BACKEND"])
def test_a_value_that_means_nothing_is_a_problem(variable):
    with pytest.raises(ConfigError) as caught:
        load(environ={**URL, variable: "hush"})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{variable}: expected ")
    assert "hush" not in problem


@pytest.mark.parametrize(
    ("variable", "text", "path"),
    [
        ("DATABASE_POOL_SIZE", "hush", "database.poolSize"),
        ("DATABASE_MAX_OVERFLOW", "-1", "database.maxOverflow"),
        ("ENABLE_METRICS", "hush", "standalone.metrics"),
        ("STACK_API_KEYS", "good,hu sh", "keys.values.1"),
        ("VLLM_BASE_URL", "hush", "upstreams.0.url"),
        ("LOG_LEVEL", "hush", "logging.level"),
    ],
)
def test_a_value_that_its_setting_refuses_is_a_problem_of_the_variable(variable, text, path):
    with pytest.raises(ConfigError) as caught:
        load(environ={"LLM_BACKEND": "vllm", variable: text})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}: ")
    assert problem.endswith(f" (set by {variable})")
    assert text not in problem.partition(": ")[2].partition(" (set by")[0]


def test_no_problem_is_put_on_a_variable_that_another_overrides():
    environ = {**URL, "DATABASE_POOL_SIZE": "5", "TANDEM_DATABASE__POOL_SIZE": "many"}
    with pytest.raises(ConfigError) as caught:
        load(environ=environ)
    assert "DATABASE_POOL_SIZE" not in str(caught.value)


def test_the_first_upstream_and_the_level_are_set(file):
    path = file("upstreams: [{name: a, url: 'http://a', apiKeyFile: /k}, {name: b, url: 'http://b'}]")
    config = load(path, {**URL, "MODEL_ID": "org/model", "LOG_LEVEL": "debug"})
    first, second = config.upstreams
    assert (first.name, first.url, first.model, first.api_key_file) == ("a", URL["VLLM_URL"], "org/model", "/k")
    assert second.url == "http://b"
    assert config.logging.level == "DEBUG"


def test_of_two_names_for_one_setting_the_newer_wins():
    environ = {**URL, "VLLM_BASE_URL": "http://old", "WORKERS": "2", "TANDEM_SERVER__WORKERS": "3"}
    config = load(environ={**environ, "API_KEYS": "new", "STACK_API_KEYS": "old"})
    assert (config.upstreams[0].url, config.server.workers) == (URL["VLLM_URL"], 3)
    assert plain(config.keys.values) == ["new"]


@pytest.mark.parametrize("variable", ["MODEL_ID", "VLLM_API_KEY"])
def test_a_model_or_a_key_alone_names_no_engine(variable):
    with pytest.raises(ConfigError, match="set VLLM_URL"):
        load(environ={variable: "m"})


def test_the_page_lists_each():
    page = (Path(__file__).parents[4] / "docs" / "standalone.md").read_text()
    assert [name for name in OLDER_VARIABLES if f"`{name}`" not in page] == []
