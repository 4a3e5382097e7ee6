"""What the claims of a token allow."""

import pytest
from tandem_contract.config import Issuer, KeyLimits
from tandem_orchestrator.auth.oidc.caller import granted, key_id, principal, recalled
from tandem_orchestrator.errors import Forbidden

NOBODYS = {"issuer": "https://login.example.com", "audiences": ["tandem"]}
GOLD = {"name": "gold", "requestsPerMinute": 600}
FREE = {"name": "free", "requestsPerMinute": 6}
IN_CLUSTER = {"kubernetes.io": {"namespace": "search", "serviceaccount": {"name": "agent"}}}


def issuer(**settings):
    return Issuer.model_validate({**NOBODYS, **({} if "claims" in settings else {"tenant": "team"}), **settings})


def caller(settings, **claims):
    return principal(settings, "oidc-1", granted(settings, claims))


def test_without_claims_the_settings_say_it_all():
    found = caller(issuer(models=["qwen"], tools=[], limits={"requestsPerMinute": 7}), org="ignored")
    assert (found.tenant, found.models, found.tools) == ("team", {"qwen"}, frozenset())
    assert found.limits == KeyLimits(requests_per_minute=7)
    everything = caller(issuer())
    assert (everything.models, everything.tools, everything.limits) == (None, None, KeyLimits())


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("org", {"org": "search"}),
        ("https://example.com/org", {"https://example.com/org": "search"}),
        ("/kubernetes.io/namespace", IN_CLUSTER),
        ("/a~1b/c~0d", {"a/b": {"c~d": "search"}}),
    ],
)
def test_where_a_claim_is(path, claims):
    assert caller(issuer(claims={"tenant": path}), **claims).tenant == "search"
    assert caller(issuer(claims={"tenant": path}, tenantPrefix="k8s:"), **claims).tenant == "k8s:search"


@pytest.mark.parametrize(
    ("org", "says"),
    [
        (None, "has no claim org"),
        ("", "no name of a tenant"),
        ("a b", "no name of a tenant"),
        ("x" * 129, "no name of a tenant"),
        (["search"], "no name of a tenant"),
        (7, "no name of a tenant"),
        ({"a": 1}, "no name of a tenant"),
    ],
)
def test_a_tenant_that_is_none_is_refused(org, says):
    with pytest.raises(Forbidden, match=says):
        caller(issuer(claims={"tenant": "org"}), org=org)


@pytest.mark.parametrize("path", ["/org/name/first", "/org/0", "/", "/org/"])
def test_a_pointer_to_nothing(path):
    with pytest.raises(Forbidden, match="has no claim"):
        caller(issuer(claims={"tenant": path}), org={"name": "search"})


def test_what_a_token_does_not_say_is_said_by_the_settings_or_it_is_refused():
    claims = {"tenant": "org", "models": "models", "tools": "tools", "plan": "plan"}
    defaults = {"tenant": "guests", "models": ["small"], "tools": [], "limits": {"requestsPerMinute": 1}}
    found = caller(issuer(claims=claims, plans=[GOLD], **defaults))
    assert (found.tenant, found.models, found.tools) == ("guests", {"small"}, frozenset())
    assert found.limits.requests_per_minute == 1
    for missing, claim in {"tenant": "org", "models": "models", "tools": "tools", "limits": "plan"}.items():
        rest = {name: value for name, value in defaults.items() if name != missing}
        with pytest.raises(Forbidden, match=f"has no claim {claim}"):
            caller(issuer(claims=claims, plans=[GOLD], **rest))


@pytest.mark.parametrize(
    ("models", "found"),
    [(["a", "b"], {"a", "b"}), ("a b", {"a", "b"}), ("", set()), ([], set())],
)
def test_names_as_a_list_or_with_spaces(models, found):
    settings = issuer(claims={"tenant": "org", "models": "models"})
    assert caller(settings, org="search", models=models).models == found


@pytest.mark.parametrize("models", [7, True, {"a": 1}, ["a", 7], [["a"]], ["a"] * 257])
def test_names_that_are_none_are_refused(models):
    settings = issuer(claims={"tenant": "org", "models": "models"})
    with pytest.raises(Forbidden, match="no list of names"):
        caller(settings, org="search", models=models)


@pytest.mark.parametrize(
    ("plan", "figure"),
    [("gold", 600), ("free", 6), (["user", "free", "gold"], 600), (["free"], 6)],
)
def test_the_first_plan_that_a_token_names(plan, figure):
    settings = issuer(tenant="team", claims={"plan": "plan"}, plans=[GOLD, FREE], limits={"requestsPerMinute": 1})
    assert caller(settings, plan=plan).limits.requests_per_minute == figure


@pytest.mark.parametrize("plan", ["Gold", ["user"], [], 7, {"gold": 1}])
def test_no_plan_of_ours_is_refused_though_there_is_a_default(plan):
    settings = issuer(tenant="team", claims={"plan": "plan"}, plans=[GOLD], limits={"requestsPerMinute": 1})
    with pytest.raises(Forbidden, match="names no plan"):
        caller(settings, plan=plan)


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"azp": "chat", "email_verified": True, **IN_CLUSTER}, True),
        ({"azp": ["mail", "chat"], "email_verified": "true", **IN_CLUSTER}, True),
        ({"azp": "chat", "email_verified": False, **IN_CLUSTER}, False),
        ({"azp": "chats", "email_verified": True, **IN_CLUSTER}, False),
        ({"email_verified": True, **IN_CLUSTER}, False),
        ({"azp": None, "email_verified": True, **IN_CLUSTER}, False),
        ({"azp": {"chat": "chat"}, "email_verified": True, **IN_CLUSTER}, False),
        ({"azp": "chat", "email_verified": True}, False),
        ({"azp": 10**30, "email_verified": [{}], **IN_CLUSTER}, False),
    ],
)
def test_required_claims(claims, good):
    required = {"azp": ["chat"], "email_verified": ["true"], "/kubernetes.io/serviceaccount/name": ["agent", "b"]}
    settings = issuer(required=[{"claim": claim, "values": values} for claim, values in required.items()])
    if good:
        assert caller(settings, **claims)
    else:
        with pytest.raises(Forbidden, match="is not what this service asks for"):
            caller(settings, **claims)


def test_a_caller_is_named_by_issuer_and_subject():
    named = key_id("https://login.example.com", "alice")
    assert named == "oidc-b44b4a5ae60619dc08f8"
    assert named != key_id("https://login.example.com/", "alice")


def test_a_caller_is_found_again_under_the_settings_of_later():
    claims = {"tenant": "org", "models": "models", "plan": "plan"}
    before = issuer(claims=claims, plans=[GOLD, FREE])
    asked = caller(before, org="search", models="a b", plan="gold")
    assert recalled([before], asked.reference) == asked
    later = issuer(claims=claims, plans=[{**GOLD, "requestsPerMinute": 5}])
    assert recalled([issuer(issuer="https://other.example"), later], asked.reference).limits.requests_per_minute == 5
    for settings in (
        [],
        [issuer(claims=claims, plans=[FREE])],
        [issuer(claims={**claims, "tools": "t"}, plans=[GOLD])],
    ):
        with pytest.raises(Forbidden):
            recalled(settings, asked.reference)
