import pytest
from tandem_orchestrator.config import ConfigError, load, unknown_variables

URL = {"VLLM_URL": "http://engine:8000/v1"}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.yaml"

    def write(text):
        path.write_text(text)
        return path

    return write


def test_the_engines_url_is_enough():
    config = load(environ=URL)
    assert (config.upstreams[0].name, config.upstreams[0].url) == ("engine", "http://engine:8000/v1")
    assert config.upstreams[0].model is None
    assert config.tools.max_rounds == 8


def test_older_names_set_the_first_upstream_and_the_level(file):
    path = file("upstreams: [{name: a, url: 'http://a', apiKeyFile: /k}, {name: b, url: 'http://b'}]")
    config = load(path, {**URL, "MODEL_ID": "org/model", "LOG_LEVEL": "debug"})
    first, second = config.upstreams
    assert (first.name, first.url, first.model, first.api_key_file) == ("a", URL["VLLM_URL"], "org/model", "/k")
    assert second.url == "http://b"
    assert config.logging.level == "DEBUG"


def test_model_id_alone_names_no_engine():
    with pytest.raises(ConfigError, match="set VLLM_URL"):
        load(environ={"MODEL_ID": "m"})


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
    with pytest.raises(ConfigError, match="none"):
        load(tmp_path / "none.yaml", URL)


def test_a_broken_variable_is_named():
    with pytest.raises(ConfigError, match="TANDEM_UPSTREAMS"):
        load(environ={"TANDEM_UPSTREAMS": "[{"})


def test_misspelt_variables_are_found():
    environ = {"TANDEM_TOOL__MAX_ROUNDS": "1", "TANDEM_TOOLS__MAX_ROUNDS": "1", "TANDEM_CONFIG": "f", "PATH": "p"}
    assert unknown_variables(environ) == ["TANDEM_TOOL__MAX_ROUNDS"]
