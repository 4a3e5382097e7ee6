import pytest
from tandem_orchestrator.config import ConfigError, Source, load, unknown_variables

URL = {"VLLM_URL": "http://engine:8000/v1"}


def test_the_engines_url_is_enough():
    config = load(environ=URL)
    assert (config.upstreams[0].name, config.upstreams[0].url) == ("engine", "http://engine:8000/v1")
    assert config.upstreams[0].model is None
    assert config.tools.max_rounds == 8


@pytest.mark.parametrize("text", ["", "tools: {}", "upstreams: []"])
def test_without_an_engine_it_is_said_how_to_name_one(file, text):
    with pytest.raises(ConfigError, match="set VLLM_URL"):
        load(file(text), {})


@pytest.mark.parametrize("key", ["maxRounds", "max_rounds"])
def test_the_environment_wins_over_the_file(file, key):
    path = file(f"tools: {{{key}: 3, maxCalls: 5}}\ndrainSeconds: 7")
    environ = {**URL, "TANDEM_TOOLS__MAX_ROUNDS": "4", "TANDEM_DRAIN_SECONDS": "9.5"}
    config = load(path, environ)
    assert (config.tools.max_rounds, config.tools.max_calls, config.drain_seconds) == (4, 5, 9.5)


def test_lists_and_sections_are_written_as_json():
    environ = {"TANDEM_UPSTREAMS": '[{"name": "a", "url": "http://a"}]', "TANDEM_TOOLS": '{"enabled": []}'}
    config = load(environ=environ)
    assert config.upstreams[0].name == "a"
    assert config.tools.enabled == []


def test_deep_settings_are_reached():
    config = load(environ={**URL, "TANDEM_TOOLS__WEATHER__FORECAST_URL": "http://weather.local/f"})
    assert config.tools.weather.forecast_url == "http://weather.local/f"


def test_an_optional_section_is_reached_too(tmp_path, file):
    pem = tmp_path / "pem"
    pem.write_text("pem")
    path = file(f"server: {{tls: {{certificate: {{file: /nowhere}}, key: {{file: {pem}}}}}}}")
    tls = load(path, {**URL, "TANDEM_SERVER__TLS__CERTIFICATE__FILE": str(pem)}).server.tls
    assert tls is not None
    assert (tls.certificate.file, tls.key.file) == (str(pem), str(pem))
    assert not unknown_variables({"TANDEM_SERVER__TLS__CERTIFICATE__FILE": "f"})


def test_lists_are_written_as_yaml_too():
    config = load(environ={**URL, "TANDEM_SERVER__TRUSTED_HOSTS": "[a.example.com, b.example.com]"})
    assert config.server.trusted_hosts == ["a.example.com", "b.example.com"]


def test_the_file_is_named_by_a_variable(file):
    assert load(environ={**URL, "TANDEM_CONFIG": str(file("drainSeconds: 7"))}).drain_seconds == 7


def test_every_error_is_listed_with_its_path(file):
    path = file("tools: {maxRounds: 0, enabled: [nothing]}\nextra: 1\nlimits: {maxBodyBytes: many}")
    with pytest.raises(ConfigError) as caught:
        load(path, {**URL, "TANDEM_LOGGING__LEVEL": "loud"})
    paths = {problem.partition(":")[0] for problem in caught.value.problems}
    assert paths == {"tools.maxRounds", "tools.enabled.0", "extra", "limits.maxBodyBytes", "logging.level"}


@pytest.mark.parametrize(
    ("text", "word"),
    [("a: [", "config.yaml"), ("- 1", "found list"), ("tools: 3", "tools"), ("upstreams: 3", "upstreams")],
)
def test_a_file_of_another_shape_is_an_error(file, text, word):
    with pytest.raises(ConfigError, match=word):
        load(file(text), {**URL, "TANDEM_TOOLS__MAX_ROUNDS": "3"})


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file"):
        load(tmp_path / "none.yaml", URL)


def test_nothing_that_may_be_a_secret_is_repeated(file):
    text = """
    upstreams: [{name: a, url: 'http://me:hush@a', apiKeyValue: 424242}]
    keys: {values: [{key: hush}, 424242], value: hush}
    database: {url: {of: hush}}
    tools: {mcp: [{name: m, url: 'http://m', headers: {authorization: "hush\\n"}}]}
    """
    with pytest.raises(ConfigError) as caught:
        load(file(text), {"TANDEM_REDIS": "{url: [hush"})
    assert {problem.partition(":")[0] for problem in caught.value.problems} == {
        "TANDEM_REDIS",
        "upstreams.0.url",
        "upstreams.0.apiKeyValue",
        "keys.values.0",
        "keys.values.1",
        "keys.value",
        "database.url",
        "tools.mcp.0.headers.authorization",
    }
    assert "hush" not in str(caught.value)
    assert "424242" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('redis:\n  url: "redis://:hush@r:6379/0\nlogging: {level: INFO}', "line 3, column 23"),
        ("redis: redis://:hush/424242@r", "redis: "),
        ("redis:\n  url: *hush", "line 2, column 8"),
        ("redis:\n  url: !hush", "line 2, column 8"),
        ("redis: {url: !!int hush}", "cannot be read"),
        ("redis: {url: !!bool hush}", "cannot be read"),
        ("redis: {url: !!binary húsh424242}", "line 1"),
        ("redis: {url: 2026-13-42}", "cannot be read"),
        ("redis: {url: \x01hush}", "not YAML"),
        ("limits: {maxBodyBytes: hush424242}", "limits.maxBodyBytes: "),
        ("server: {trustedHosts: 'hush 424242'}", "server.trustedHosts: "),
        ("server: {trustedHosts: ['hush 424242']}", "server.trustedHosts.0: "),
        ("keys: {tk-hush-424242: alice}", "keys.…: there is no such setting"),
        ("tools: {maxRounds: 424242}", "tools.maxRounds: "),
        ("logging: {level: hush}", "logging.level: "),
        ("drainSeconds: .nan", "drainSeconds: "),
    ],
)
def test_no_value_is_repeated(file, text, told):
    with pytest.raises(ConfigError) as caught:
        load(file(text), URL)
    assert told in str(caught.value)
    assert "hush" not in repr(caught.value)
    assert "4242" not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"redis: {url: hush\xff}")
    with pytest.raises(ConfigError, match=r"config\.yaml: not YAML") as caught:
        load(path, URL)
    assert "hush" not in repr(caught.value)


def test_secrets_are_looked_for_and_named_by_their_setting(file, tmp_path):
    (tmp_path / "keys").mkdir()
    text = f"""
    keys: {{files: [{{secretName: keys}}, {{file: {tmp_path / "keys"}}}, {{file: /nowhere}}], admin: {{}}}}
    redis: {{urlFrom: {{file: {tmp_path / "keys"}}}}}
    """
    with pytest.raises(ConfigError) as caught:
        load(file(text), URL)
    found = dict(problem.split(": ", 1) for problem in caught.value.problems)
    assert set(found) == {"keys.files.0", "keys.files.2", "keys.admin", "redis.urlFrom"}
    assert "write `file: PATH` instead" in found["keys.files.0"]
    assert "/nowhere cannot be read" in found["keys.files.2"]
    assert "set `file`" in found["keys.admin"]
    assert "holds 0 files" in found["redis.urlFrom"]


def test_a_tool_s_secret_keeps_nothing_from_starting_unless_it_is_named_wrongly(file):
    documents = "{name: a, document: {file: /nowhere}}"
    assert load(file(f"tools: {{openapi: [{documents}]}}"), URL).tools.openapi
    documents += ", {name: b, document: {}}, {name: c, document: {secretName: c}}"
    with pytest.raises(ConfigError) as caught:
        load(file(f"tools: {{openapi: [{documents}]}}"), URL)
    found = dict(problem.split(": ", 1) for problem in caught.value.problems)
    assert "set `file`" in found.pop("tools.openapi.1.document")
    assert "write `file: PATH` instead" in found.pop("tools.openapi.2.document")
    assert not found


def test_a_source_knows_when_its_file_has_changed(file, tmp_path):
    path = file("drainSeconds: 7")
    source = Source(path, URL)
    assert source.load().drain_seconds == 7
    assert not source.changed()
    (tmp_path / "new.yaml").write_text("drainSeconds: 8")
    (tmp_path / "new.yaml").replace(path)
    assert source.changed()
    assert source.load().drain_seconds == 8
    path.unlink()
    assert source.changed()
    with pytest.raises(ConfigError):
        source.load()
    assert not source.changed(), "once is enough"


def test_a_broken_variable_is_named():
    with pytest.raises(ConfigError, match="TANDEM_UPSTREAMS"):
        load(environ={"TANDEM_UPSTREAMS": "[{"})


def test_misspelt_variables_are_found():
    environ = {"TANDEM_TOOL__MAX_ROUNDS": "1", "TANDEM_TOOLS__MAX_ROUNDS": "1", "TANDEM_CONFIG": "f", "PATH": "p"}
    assert unknown_variables(environ) == ["TANDEM_TOOL__MAX_ROUNDS"]


def test_who_uses_one_section_needs_no_other_s_files(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "upstreams: [{name: a, url: 'http://a'}]\n"
        "database: {urlFrom: {file: /nowhere/url}}\n"
        "keys: {files: [{file: /nowhere/keys.yaml}]}\n"
    )
    with pytest.raises(ConfigError) as caught:
        Source(path, {}).load("database")
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["database.urlFrom"]
    path.write_text(
        "upstreams: [{name: a, url: 'http://a'}]\n"
        "keys: {files: [{file: /nowhere/keys.yaml}]}\n"
        "tasksFrom: [{file: /nowhere/tasks}]\n"
    )
    Source(path, {}).load("database")  # as the Job does that migrates it, and has nothing else
    with pytest.raises(ConfigError, match=r"keys\.files\.0"):
        Source(path, {}).load()
