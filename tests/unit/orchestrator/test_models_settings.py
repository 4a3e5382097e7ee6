"""What `models` and `upstreams` may not say."""

import pytest
from pydantic import ValidationError
from tandem_contract.config import OrchestratorConfig

ENGINE = {"name": "e", "url": "http://e"}


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        ([{"name": "a"}, {"name": "a"}], "used twice: a"),
        ([{"name": "a"}, {"name": "b", "aliases": ["a"]}], "used twice: a"),
        ([{"name": "a", "fallback": "a"}], "a > a"),
        ([{"name": "a", "fallback": "b"}, {"name": "b", "aliases": ["c"], "fallback": "a"}], "a > b > a"),
        ([{"name": "a", "fallback": "c"}, {"name": "b", "aliases": ["c"], "fallback": "a"}], "a > b > a"),
    ],
)
def test_names_and_fallbacks(models, problem):
    with pytest.raises(ValidationError, match=problem) as caught:
        OrchestratorConfig.model_validate({"upstreams": [ENGINE], "models": models})
    assert caught.value.errors()[0]["loc"] == ("models",)


def test_a_fallback_may_have_a_fallback():
    models = [{"name": "a", "fallback": "b"}, {"name": "b", "fallback": "unlisted"}]
    OrchestratorConfig.model_validate({"upstreams": [ENGINE], "models": models})


def test_upstreams_have_names_of_their_own():
    with pytest.raises(ValidationError, match="used twice: e"):
        OrchestratorConfig.model_validate({"upstreams": [ENGINE, ENGINE]})
