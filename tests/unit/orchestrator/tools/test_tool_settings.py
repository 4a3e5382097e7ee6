"""The sections under `tools`: what can be seen to be wrong before anything runs."""

import pytest
from pydantic import ValidationError
from tandem_contract.config import Tools

ORDER = {
    "name": "order",
    "description": "Looks an order up.",
    "url": "https://shop.example/orders/{id}",
    "parameters": {"type": "object", "properties": {"id": {}, "note": {}}, "required": ["id"]},
}


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"http": [{**ORDER, "url": "https://{id}.example/"}]}, "pattern"),
        ({"http": [{**ORDER, "url": "https://user@shop.example/"}]}, "pattern"),
        ({"http": [{**ORDER, "name": "an order"}]}, "pattern"),
        ({"http": [{**ORDER, "headers": {"x note": "1"}}]}, "'x note' is no name of a header"),
        (
            {"http": [{**ORDER, "body": {"list": [{"a": "{what}"}]}}]},
            "parameters do not declare what, which order uses",
        ),
        ({"http": [{**ORDER, "query": {"q": "{what}"}}]}, "parameters do not declare what"),
        ({"http": [{**ORDER, "url": "https://shop.example/{note}"}]}, "parameters must require note"),
        ({"http": [{**ORDER, "parameters": {"type": "array"}}]}, '"type": "object"'),
        ({"http": [{**ORDER, "parameters": {"required": 1}}]}, "properties an object, required a list"),
        ({"http": [{**ORDER, "parameters": {"properties": ["id"]}}]}, "properties an object, required a list"),
        ({"queryDatabase": {}}, "set url or urlFrom"),
        ({"queryDatabase": {"url": "mysql://host/db"}}, "url must begin with postgresql:// or sqlite:///"),
        ({"webSearch": {"provider": "searxng"}}, "set url to your SearXNG server"),
        ({"webSearch": {"provider": "brave"}}, "set apiKey: brave asks for one"),
        ({"openapi": [{"name": "shop"}]}, "set either document or url"),
        ({"openapi": [{"name": "shop", "url": "https://a", "document": {"file": "/a"}}]}, "set either document or url"),
        (
            {"openapi": [{"name": "a", "url": "https://a", "secretHeaders": [{"name": "k", "value": {"file": "/k"}}]}]},
            "set baseUrl: a fetched document must not choose who gets the secret headers",
        ),
    ],
)
def test_what_is_wrong_is_said(settings, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Tools.model_validate(settings)


def test_a_databases_url_is_not_shown():
    tools = Tools.model_validate({"queryDatabase": {"url": "postgresql://reader:hunter2@host/db"}})
    assert "hunter2" not in repr(tools) + tools.model_dump_json()
