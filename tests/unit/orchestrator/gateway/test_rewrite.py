from dataclasses import replace
from typing import Any

import orjson
import pytest
from tandem_contract.config import ModelSettings
from tandem_contract.output_shape import MOST_PARTS
from tandem_orchestrator.engines.catalogue import Model
from tandem_orchestrator.engines.endpoints import CHAT, COMPLETIONS, EMBEDDINGS, ENDPOINTS
from tandem_orchestrator.errors import BadRequest
from tandem_orchestrator.gateway import rewrite
from tandem_orchestrator.gateway.request import Request, checked, json_object

ASKED: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": "?"}]},
    COMPLETIONS: {"prompt": "?"},
    EMBEDDINGS: {"input": "?"},
}


def request(path=CHAT, **fields) -> Request:
    return checked(ENDPOINTS[path], json_object(orjson.dumps({"model": "m", **ASKED[path], **fields}), 128))


def model(*, takes_cache_salt=False, **settings) -> Model:
    return Model("m", ModelSettings(name="m", **settings), (), takes_cache_salt)


def planned(path=CHAT, settings=None, max_choices=8, **fields):
    asked = request(path, **fields)
    rewrite.apply(asked, model(**settings or {}), None, max_choices)
    return orjson.loads(asked.body())


def test_an_alias_becomes_the_engines_name():
    assert planned(model="alias")["model"] == "m"
    assert planned(model=None)["model"] == "m"


def test_defaults_fill_what_is_left_out():
    settings = {"defaults": {"temperature": 0.2, "top_k": 5, "top_p": 0}}
    body = planned(settings=settings, temperature=0.0, top_k=None)
    assert (body["temperature"], body["top_k"], body["top_p"]) == (0.0, 5, 0)


def test_injected_fields_win():
    settings = {"defaults": {"user": "a"}, "inject": {"user": "b", "priority": 1}}
    body = planned(settings=settings, user="c")
    assert (body["user"], body["priority"]) == ("b", 1)


def test_what_the_configuration_adds_wins_over_the_client_and_is_not_checked_again():
    schema = {"enum": [str(n) for n in range(MOST_PARTS + 1)]}
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    with pytest.raises(BadRequest, match="has more than"):
        planned(response_format=form)
    asked = request(temperature=1, top_p=0.5)
    asked.configured = {"response_format": form, "temperature": 0}
    rewrite.apply(asked, model(defaults={"temperature": 2, "top_k": 5}, inject={"user": "b"}), None, 8)
    body = orjson.loads(asked.body())
    assert body["response_format"] == form
    assert (body["temperature"], body["top_p"], body["top_k"], body["user"]) == (0, 0.5, 5, "b")


def test_a_system_prompt_where_there_is_none():
    settings = {"system_prompt": "Be brief."}
    assert planned(settings=settings)["messages"] == [
        {"role": "system", "content": "Be brief."},
        *ASKED[CHAT]["messages"],
    ]
    for role in ("system", "developer"):
        messages = [*ASKED[CHAT]["messages"], {"role": role, "content": "Be long."}]
        assert planned(settings=settings, messages=messages)["messages"] == messages
    assert planned(COMPLETIONS, settings)["prompt"] == "?"
    assert planned(settings=settings, messages=[{"role": ["odd"]}])["messages"][1:] == [{"role": ["odd"]}]


@pytest.mark.parametrize(
    ("messages", "becomes"),
    [
        ([], [{"role": "system", "content": "First."}]),
        ([{"role": "system", "content": "Own."}], [{"role": "system", "content": "First.\n\nOwn."}]),
        ([{"role": "developer", "content": "Own."}], [{"role": "developer", "content": "First.\n\nOwn."}]),
        (
            [{"role": "system", "content": [{"type": "text", "text": "Own."}]}],
            [{"role": "system", "content": [{"type": "text", "text": "First."}, {"type": "text", "text": "Own."}]}],
        ),
        (
            [{"role": "system", "content": None}],
            [{"role": "system", "content": "First."}, {"role": "system", "content": None}],
        ),
    ],
)
def test_a_prompt_that_goes_before_the_clients_own(messages, becomes):
    said = ASKED[CHAT]["messages"]
    asked = request(messages=[*messages, *said])
    rewrite.instruct_first(asked, "First.", "acme")
    assert asked.payload["messages"] == [*becomes, *said]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_ceiling_lowers_what_is_above_it(name):
    settings = {"max_tokens": 100}
    assert planned(settings=settings, **{name: 101})[name] == 100
    assert planned(settings=settings, **{name: 99})[name] == 99
    for odd in ("200", 200.0, [200], True, 0, -1, 1e30):
        for path in (CHAT, COMPLETIONS):
            with pytest.raises(BadRequest, match=name) as caught:
                planned(path, settings, **{name: odd})
            assert caught.value.param == name
    assert (
        planned(settings=settings, max_tokens=101, max_completion_tokens=102).items()
        >= dict.fromkeys(("max_tokens", "max_completion_tokens"), 100).items()
    )


def test_a_completion_may_only_echo_its_prompt():
    settings = {"max_tokens": 100}
    assert planned(COMPLETIONS, settings, max_tokens=0, echo=True)["max_tokens"] == 0
    for path, echo in ((CHAT, True), (COMPLETIONS, False), (COMPLETIONS, 1)):
        with pytest.raises(BadRequest, match="max_tokens"):
            planned(path, settings, max_tokens=0, echo=echo)


def test_a_chat_that_says_nothing_gets_the_ceiling():
    settings = {"max_tokens": 100}
    assert planned(settings=settings)["max_tokens"] == 100
    assert planned(settings=settings, max_tokens=None, max_completion_tokens=None)["max_tokens"] == 100
    assert "max_tokens" not in planned(settings=settings, max_completion_tokens=7)
    assert planned(COMPLETIONS, settings, max_tokens=None, max_completion_tokens=7)["max_tokens"] == 100
    assert "max_tokens" not in planned(COMPLETIONS, settings)
    assert "max_tokens" not in planned(EMBEDDINGS, settings)


@pytest.mark.parametrize("name", ["n", "best_of"])
def test_choices_are_bounded(name):
    assert planned(max_choices=3, **{name: 3})[name] == 3
    for odd in (4, 1_000_000_000, 0, -1, True, "2", 2.0, [2]):
        with pytest.raises(BadRequest, match="from 1 to 3") as caught:
            planned(max_choices=3, **{name: odd})
        assert caught.value.param == name


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"prompt": ["a"] * 6}, 6),
        ({"prompt": [[1, 2]] * 3, "n": 2}, 6),
        ({"prompt": ["a", "b"], "n": 2, "best_of": 3}, 6),
        ({"prompt": [1, 2, 3, 4, 5, 6, 7], "prompt_embeds": "a", "n": 3}, 6),
        ({"prompt": "a", "prompt_embeds": ["b"] * 5}, 6),
        ({"prompt": "a", "prompt_embeds": "b", "n": 3}, 6),
        ({"prompt": [[1], 2, "c"], "n": 2}, 6),
    ],
)
def test_each_prompt_of_a_list_is_answered(fields, answers):
    assert planned(COMPLETIONS, max_choices=answers, **fields)["prompt"] == fields["prompt"]
    with pytest.raises(BadRequest, match=f"asks for {answers} answers") as caught:
        planned(COMPLETIONS, max_choices=answers - 1, **fields)
    assert caught.value.param == "prompt"


def test_settings_count_among_what_is_asked():
    with pytest.raises(BadRequest, match="asks for 12 answers"):
        planned(COMPLETIONS, {"defaults": {"n": 4}}, prompt=["a"] * 3)


def test_embeddings_answer_nothing():
    assert planned(EMBEDDINGS, max_choices=1, input=["a"] * 100)["input"] == ["a"] * 100


def test_usage_is_asked_for_where_the_client_does_not():
    asked = request(stream=True)
    assert rewrite.count_usage(asked)
    assert orjson.loads(asked.body())["stream_options"] == {"include_usage": True}
    asked = request(stream=True, stream_options={"include_usage": False, "other": 1})
    assert rewrite.count_usage(asked)
    assert orjson.loads(asked.body())["stream_options"] == {"include_usage": True, "other": 1}


def test_usage_that_the_client_asks_for_is_not_hidden():
    asked = request(stream=True, stream_options={"include_usage": True})
    before = asked.body()
    assert not rewrite.count_usage(asked)
    assert asked.body() == before


def test_options_of_another_shape_are_refused():
    with pytest.raises(BadRequest, match="stream_options"):
        rewrite.count_usage(request(stream=True, stream_options=3))


@pytest.mark.parametrize(
    ("takes", "tenant", "salt"), [(True, "a", rewrite.salt("a")), (True, None, "theirs"), (False, "a", None)]
)
def test_a_tenants_salt_takes_the_place_of_the_clients(takes, tenant, salt):
    asked = request(cache_salt="theirs")
    rewrite.apply(asked, model(takes_cache_salt=takes), tenant, 8)
    assert orjson.loads(asked.body()).get("cache_salt") == salt


@pytest.mark.parametrize("name", sorted(rewrite.ENGINES_OWN))
def test_what_is_an_engines_own_is_not_taken(name):
    for fields in ({name: [{"id": 0}]}, {"vllm_xargs": {"top": 1, name: "x"}}):
        with pytest.raises(BadRequest, match=f"`{name}` is not taken from clients: ..") as caught:
            planned(**fields)
        assert caught.value.param == name
    assert name not in planned(**{name: None}), "clients write null for what they do not mean"
    assert planned(settings={"inject": {name: "ours"}})[name] == "ours"


@pytest.mark.parametrize("name", sorted(rewrite.UNHEARD))
def test_what_names_or_orders_requests_is_not_heard(name):
    body = planned(vllm_xargs={name: 1, "top": 1}, **{name: 1})
    assert (name in body, body["vllm_xargs"]) == (False, {"top": 1})


def test_salts_are_stable_and_tell_nothing():
    assert rewrite.salt("a") == "7a075f8a3f4ef2b9e9f42dc3d515ea47"
    assert rewrite.salt("a") != rewrite.salt("b")


@pytest.mark.parametrize(
    ("takes", "batch", "priority"), [(True, True, 1), (True, False, None), (False, True, None), (False, False, None)]
)
def test_no_client_says_who_comes_first(takes, batch, priority):
    asked = request(priority=-5)
    rewrite.apply(asked, replace(model(), takes_priority=takes), "a", 8, batch=batch)
    assert orjson.loads(asked.body()).get("priority") == priority


def affinity(tenant="t", path=CHAT, **fields):
    return rewrite.affinity(request(path, **fields), tenant)


def said(*contents):
    return [{"role": role, "content": content} for role, content in contents]


def test_turns_of_a_conversation_go_together():
    first = said(("system", "Be brief."), ("user", "Hello"))
    later = [*first, *said(("assistant", "Hi"), ("user", "And now?"))]
    assert affinity(messages=first) == affinity(messages=later, temperature=1) == affinity(messages=first)
    assert affinity(messages=first[1:]) == affinity(messages=later[1:])


def test_other_conversations_and_tenants_go_elsewhere():
    hello = affinity(messages=said(("system", "Be brief."), ("user", "Hello")))
    assert hello != affinity(messages=said(("system", "Be brief."), ("user", "Good bye")))
    assert hello != affinity("u", messages=said(("system", "Be brief."), ("user", "Hello")))


@pytest.mark.parametrize(
    "content", [None, [], 7, [7], ["text"], [{"type": "image_url"}, {"type": "text", "text": "What is it?"}], "\ud800"]
)
def test_contents_of_any_shape(content):
    asked = request()
    asked.payload["messages"] = [{"role": "user", "content": content}]
    assert rewrite.affinity(asked, "t")


def test_texts_behind_an_image_count():
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    asked = [affinity(messages=said(("user", [image, {"type": "text", "text": text}]))) for text in ("a", "b")]
    assert asked[0] != asked[1]


def test_prompts_and_tokens_count():
    prompts = ["a", "b", ["c", "d"], [1, 2], [3, 4]]
    assert len({affinity(path=COMPLETIONS, prompt=prompt) for prompt in prompts}) == len(prompts)
