from pathlib import Path

import pytest
from tandem_contract.config import OrchestratorConfig
from tandem_orchestrator.config import ConfigError, Source, load
from tandem_orchestrator.config.older_files import OLDER_KEYS

OLDER = """
server: {host: 127.0.0.1, port: 8000, workers: 4}
database: {url: "postgresql://db/x", pool_size: 20, max_overflow: 30}
vllm: {base_url: "http://engine:8001", timeout: 300, max_retries: 3}
security: {require_api_key: false, api_keys: [one, two], cors_origins: ["http://localhost:3000"]}
rate_limiting: {enable: true, global_rpm: 1000, tenant_rpm: 100}
monitoring: {enable_metrics: false, enable_db_monitoring: true}
"""
TODAY = OrchestratorConfig.model_validate(
    {
        "server": {"workers": 4, "cors": {"allowOrigins": ["http://localhost:3000"]}},
        "standalone": {"host": "127.0.0.1", "port": 8000, "metrics": False},
        "database": {"url": "postgresql://db/x", "poolSize": 20, "maxOverflow": 30},
        "upstreams": [{"name": "engine", "url": "http://engine:8001"}],
        "timeouts": {"firstByteSeconds": 300},
        "routing": {"retries": 3},
        "keys": {"required": False, "values": ["one", "two"]},
        "rateLimits": {"requestsPerMinute": 1000, "tenantRequestsPerMinute": 100},
    }
)
ENGINE = "vllm: {base_url: 'http://engine:8001'}\n"


def test_a_file_of_the_older_shape_is_read_as_todays(file):
    assert load(file(OLDER), {}) == TODAY


def test_each_older_key_has_a_note(file):
    source = Source(file(OLDER), {})
    source.load()
    keys = [f"{section}.{key}" for section, names in OLDER_KEYS.items() for key in names]
    assert [note.partition(" ")[0] for note in source.older.notes] == keys
    assert "vllm.base_url is read as upstreams.0.url" in source.older.notes
    assert source.older.warnings == []


def test_a_file_of_todays_shape_has_none(file):
    source = Source(file("server: {workers: 2, metricsPort: 8002}\nupstreams: [{name: a, url: 'http://a'}]"), {})
    assert source.load().server.metrics_port == 8002
    assert source.older.notes == []


def test_without_rate_limiting_older_limits_do_not_hold(file):
    off = load(file(OLDER.replace("enable: true", "enable: false")), {})
    assert (off.rate_limits.requests_per_minute, off.rate_limits.tenant_requests_per_minute) == (None, None)


def test_where_both_shapes_say_something_todays_counts(file):
    text = f"{ENGINE}rate_limiting: {{enable: false, global_rpm: 5}}\nrateLimits: {{requests_per_minute: 7}}\n"
    text += "security: {cors_origins: [old]}\nserver: {port: 1, cors: {allow_origins: [new], maxAgeSeconds: 5}}\n"
    text += "standalone: {port: 9000}\nupstreams: [{name: a, url: 'http://new'}]\nkeys:\n"
    config = load(file(text.replace("keys:\n", "")), {})
    assert (config.rate_limits.requests_per_minute, config.standalone.port) == (7, 9000)
    assert (config.server.cors.allow_origins, config.server.cors.max_age_seconds) == (["new"], 5)
    assert [upstream.url for upstream in config.upstreams] == ["http://new"]


def test_an_empty_section_of_today_hides_no_older_key(file):
    assert load(file(f"upstreams:\n{ENGINE}"), {}).upstreams[0].url == "http://engine:8001"


def test_variables_win_over_both(file):
    config = load(file(OLDER), {"VLLM_BASE_URL": "http://variable", "TANDEM_ROUTING__RETRIES": "1"})
    assert (config.upstreams[0].url, config.routing.retries) == ("http://variable", 1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("vllm: {base_urls: x}", "vllm.base_urls: there is no such setting"),
        ("monitoring: {4hush2: x}", "monitoring.…: there is no such setting"),
        ("security: {jwt_secret: x}", "security.jwt_secret: there is no such setting"),
        ("server: {ports: 1}", "server.ports: there is no such setting"),
        ("security: hush", "security: there is no such setting"),
        ("cache: {ttl: 1}", "cache: there is no such setting"),
    ],
)
def test_what_neither_shape_knows_is_an_error(file, text, problem):
    with pytest.raises(ConfigError) as caught:
        load(file(text), {"VLLM_URL": "http://engine"})
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("vllm: {max_retries: hush}", ("routing.retries: ", " (set by vllm.max_retries)")),
        ("security: {api_keys: [good, 'hu sh']}", ("keys.values.1: ", " (set by security.api_keys)")),
        ("server: {port: 99999}", ("standalone.port: ", " (set by server.port)")),
        ("rate_limiting: {enable: hush}", ("rate_limiting.enable: expected true or false", "")),
    ],
)
def test_a_bad_value_is_a_problem_of_the_older_key(file, text, told):
    with pytest.raises(ConfigError) as caught:
        load(file(text), {"VLLM_URL": "http://engine"})
    (problem,) = caught.value.problems
    assert problem.startswith(told[0])
    assert problem.endswith(told[1])
    assert "hu" not in problem.replace("should", "")


def test_the_page_lists_each():
    page = (Path(__file__).parents[4] / "docs" / "standalone.md").read_text()
    keys = [f"`{section}.{key}`" for section, names in OLDER_KEYS.items() for key in names]
    assert [key for key in keys if key not in page] == []
