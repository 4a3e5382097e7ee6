import pytest
from pydantic import ValidationError
from tandem_contract import system_prompt
from tandem_contract.config import ModelSettings, Tenant


@pytest.mark.parametrize("text", ["Be brief.", "{ {a} } 50 %} {# x", "{{ tenant }} {{ model }} {{ date }}"])
def test_what_can_be_told(text):
    assert ModelSettings.model_validate({"name": "m", "systemPrompt": text}).system_prompt == text
    assert Tenant.model_validate({"name": "t", "systemPrompt": text}).system_prompt == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{{ tenant", "line 1: "),
        ("{% if user %}x{% endif %}", "there is no `user` here, but tenant, model, date"),
        ("{{ tenant.name }}", "there is no `name` in a text"),
        ("{{ ''.__class__ }}", "begins with `_`"),
    ],
)
def test_what_cannot(text, problem):
    with pytest.raises(ValidationError, match="systemPrompt"):
        Tenant.model_validate({"name": "t", "systemPrompt": text})
    with pytest.raises(ValueError, match=problem):
        system_prompt.checked(text)


def test_a_text_without_braces_is_told_as_it_is():
    assert system_prompt.template("{# Not { a } template #}") is None
    assert system_prompt.written("{# Not #}", "t", "m", "2026-11-30") == "{# Not #}"
    assert system_prompt.written("{{ tenant }}/{{ model }}/{{ date }}", "t", "m", "2026-11-30") == "t/m/2026-11-30"
