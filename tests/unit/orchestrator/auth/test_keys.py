"""Who is let in by the keys of the configuration."""

import hashlib
import re
from datetime import UTC, datetime

import pytest
import yaml
from prometheus_client import REGISTRY
from tandem_contract.config import KeyLimits, OrchestratorConfig
from tandem_orchestrator.auth import keys as module
from tandem_orchestrator.auth.api_key import new_key
from tandem_orchestrator.config import ConfigError, load
from tandem_orchestrator.errors import DatabaseDown, Forbidden, GatewayError, NotFound, Unauthorized

KEY = "tk-a-good-key"
OTHER = "tk-another-key"


def bearer(key):
    return [(b"host", b"here"), (b"authorization", b"Bearer " + key.encode())]


def header(key):
    return [(b"x-api-key", key.encode())]


def header_less() -> list[tuple[bytes, bytes]]:
    return [(b"host", b"here")]


def failures(reason):
    return REGISTRY.get_sample_value("tandem_auth_failures_total", {"reason": reason}) or 0


@pytest.fixture
def in_file(tmp_path):
    def write(*entries):
        path = tmp_path / "keys.yaml"
        path.write_text(yaml.safe_dump(list(entries)))
        return [{"file": str(path)}]

    return write


def test_without_keys_everybody_is_the_same(keys, logged):
    open_keys = keys()
    assert open_keys.open
    assert open_keys.authentication.startswith("none: ")
    principals = [open_keys.identify(headers) for headers in ([], bearer(KEY), [(b"authorization", b"Basic x")])]
    assert {(principal.key_id, principal.tenant) for principal in principals} == {("anonymous", "anonymous")}
    assert keys().open
    assert [(line["log_level"], "whoever reaches this port" in line["problem"]) for line in logged] == [
        ("warning", True)
    ] * 2


def test_a_key_is_a_tenant_of_its_own_and_never_shown(keys):
    principal = keys(values=[KEY]).identify(bearer(KEY))
    assert principal.tenant == principal.key_id
    assert re.fullmatch(r"key-[0-9a-f]{12}", principal.key_id)
    assert principal.limits == KeyLimits()


@pytest.mark.parametrize("headers", [bearer(KEY), header(KEY), bearer(KEY) + header(KEY)])
def test_both_headers_do(keys, headers):
    known = keys(values=[f"team-a:{KEY}", OTHER])
    assert known.identify(headers).tenant == "team-a"
    assert (known.open, known.authentication) == (False, "keys")


def test_the_scheme_is_read_in_any_case(keys):
    assert keys(values=[f"t:{KEY}"]).identify([(b"authorization", b"bearer  " + KEY.encode() + b" ")]).tenant == "t"


@pytest.mark.parametrize(
    ("headers", "reason", "message"),
    [
        ([], "missing", "no API key came"),
        ([(b"authorization", b"Basic dXNlcjpwYXNz")], "malformed", "does not hold a Bearer key"),
        ([(b"authorization", b"")], "malformed", "does not hold a Bearer key"),
        ([(b"authorization", b"Bearer ")], "malformed", "empty or longer"),
        ([(b"authorization", b"Bearer " + b"x" * 60_000)], "malformed", "empty or longer"),
        ([(b"x-api-key", b"")], "malformed", "empty or longer"),
        ([(b"x-api-key", "schlüssel".encode())], "malformed", "characters that no key has"),
        ([(b"x-api-key", b"\xff\xfe\x00")], "malformed", "characters that no key has"),
        ([(b"x-api-key", b"a b")], "malformed", "characters that no key has"),
        (bearer("tk-nobody-has-this"), "unknown", "not valid here"),
        (bearer("'OR'1'='1"), "unknown", "not valid here"),
        (bearer(f"{KEY}';DROP/**/TABLE/**/tandem_keys;--"), "unknown", "not valid here"),
        (bearer(KEY[:-1]), "unknown", "not valid here"),
        (bearer(f"team-a:{KEY}"), "unknown", "not valid here"),
        (bearer(hashlib.sha256(KEY.encode()).hexdigest()), "unknown", "not valid here"),
        (bearer(KEY) + header(OTHER), "conflicting", "several API keys"),
        (bearer(KEY) + bearer(OTHER), "conflicting", "several API keys"),
        ([*bearer(KEY), (b"authorization", b"Basic x")], "malformed", "does not hold"),
    ],
)
def test_everything_else_is_refused(keys, headers, reason, message):
    known = keys(values=[f"team-a:{KEY}", OTHER])
    before = failures(reason)
    with pytest.raises(Unauthorized, match=message) as caught:
        known.identify(headers)
    error = caught.value
    assert (error.status, error.code) == (401, "invalid_api_key")
    assert (b"www-authenticate", b"Bearer") in error.headers
    assert failures(reason) == before + 1
    for _, value in headers:
        assert not value[7:] or value[7:] not in error.body()


def test_the_terms_of_a_file(keys, in_file):
    files = in_file(
        {
            "name": "alice",
            "tenant": "team-a",
            "key": KEY,
            "models": ["big", "small"],
            "tools": [],
            "requestsPerMinute": 60,
            "tokensPerMinute": 1000,
            "concurrentRequests": 2,
            "tokensPerDay": 10_000,
            "tokensPerMonth": 100_000,
        },
        {"hash": "sha256:" + hashlib.sha256(OTHER.encode()).hexdigest(), "tenant": "team-a"},
    )
    known = keys(files=files)
    alice = known.identify(bearer(KEY))
    assert (alice.key_id, alice.tenant, alice.models, alice.tools) == (
        "alice",
        "team-a",
        frozenset({"big", "small"}),
        frozenset(),
    )
    assert alice.limits == KeyLimits(
        requests_per_minute=60,
        tokens_per_minute=1000,
        concurrent_requests=2,
        tokens_per_day=10_000,
        tokens_per_month=100_000,
    )
    other = known.identify(bearer(OTHER))
    assert (other.tenant, other.models, other.tools) == ("team-a", None, None)


@pytest.mark.parametrize("written", ["2026-11-21T12:00:00Z", "2026-11-21T13:00:00+01:00", "2026-11-21 12:00:00"])
def test_a_key_expires(keys, in_file, monkeypatch, written):
    known = keys(files=in_file({"key": KEY, "expires": written}))
    end = datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()
    monkeypatch.setattr(module, "time", lambda: end - 1)
    assert known.identify(bearer(KEY))
    monkeypatch.setattr(module, "time", lambda: end)
    with pytest.raises(Unauthorized, match="expired"):
        known.identify(bearer(KEY))
    with pytest.raises(Unauthorized, match="not valid"):
        known.identify(bearer(OTHER))


def test_a_hash_is_compared_in_constant_time(keys, monkeypatch):
    compared = []

    def differ(*pair):
        compared.append(pair)
        return False

    monkeypatch.setattr(module, "compare_digest", differ)
    with pytest.raises(Unauthorized):
        keys(values=[KEY]).identify(bearer(KEY))
    digest = hashlib.sha256(KEY.encode()).digest()
    assert compared == [(digest, digest)]


def test_required_without_a_key_refuses_everything(keys, logged):
    closed = keys(required=True)
    closed.checked = True
    closed.update(config_of(closed, required=True))
    assert not closed.open
    for headers in (header_less(), bearer(KEY)):
        with pytest.raises(Unauthorized):
            closed.identify(headers)
    assert "every request is refused" in logged[-1]["problem"]


def test_not_required_lets_people_in_without_a_key_but_not_with_a_wrong_one(keys):
    lenient = keys(required=False, values=[f"t:{KEY}"])
    assert lenient.identify([]).tenant == "anonymous"
    assert lenient.identify(bearer(KEY)).tenant == "t"
    with pytest.raises(Unauthorized):
        lenient.identify(bearer(OTHER))


def config_of(keys, **section):
    return OrchestratorConfig.model_validate(
        {"upstreams": [{"name": "engine", "url": "http://engine"}], "keys": section}
    )


def test_a_reload_takes_other_keys(keys):
    known = keys(values=[f"t:{KEY}"])
    known.update(config_of(known, values=[f"t:{OTHER}"]))
    assert known.identify(bearer(OTHER)).tenant == "t"
    with pytest.raises(Unauthorized):
        known.identify(bearer(KEY))
    known.update(config_of(known))
    assert known.open


def test_a_configured_file_closes_the_door_even_if_it_is_broken(keys, tmp_path):
    (tmp_path / "keys.yaml").write_text("broken: [")
    closed = keys(files=[{"file": str(tmp_path / "keys.yaml")}])
    assert not closed.open
    assert "keys.yaml: this is not YAML" in closed.problems[0]
    with pytest.raises(Unauthorized):
        closed.identify([])


class TestAdmin:
    @pytest.fixture
    def admin(self, keys, tmp_path):
        (tmp_path / "admin").write_text("the-admin-key\n")
        return keys(admin={"file": str(tmp_path / "admin")}, values=[KEY])

    def test_the_admin_key_passes(self, admin):
        admin.check_admin(bearer("the-admin-key"))
        admin.check_admin(header("the-admin-key"))

    @pytest.mark.parametrize("headers", [[], bearer("wrong"), bearer("the-admin-ke"), [(b"authorization", b"Basic x")]])
    def test_others_are_refused(self, admin, headers):
        with pytest.raises(Unauthorized):
            admin.check_admin(headers)

    def test_an_ordinary_key_is_known_but_not_enough(self, admin):
        with pytest.raises(Forbidden):
            admin.check_admin(bearer(KEY))

    def test_the_admin_key_is_no_ordinary_key(self, admin):
        with pytest.raises(DatabaseDown):  # the database, which has not been read yet, might know it
            admin.identify(bearer("the-admin-key"))

    def test_a_new_admin_key_counts_at_once(self, admin, tmp_path):
        (tmp_path / "admin").write_text("new")
        admin.check_admin(bearer("new"))
        with pytest.raises(Unauthorized):
            admin.check_admin(bearer("the-admin-key"))

    def test_an_unreadable_admin_key_is_told(self, admin, tmp_path):
        (tmp_path / "admin").unlink()
        with pytest.raises(GatewayError, match="cannot be read"):
            admin.check_admin(bearer("the-admin-key"))
        assert "keys.admin" in admin.problems[0]

    def test_without_one_there_is_nothing(self, keys):
        with pytest.raises(NotFound):
            keys(values=[KEY]).check_admin(bearer(KEY))


def test_while_the_database_is_unread_nobody_is_let_in_or_told_off_wrongly(keys, tmp_path):
    (tmp_path / "none.db").touch()
    undecided = keys()
    assert not undecided.open
    for headers in (header_less(), bearer(KEY)):
        with pytest.raises(DatabaseDown, match="cannot be checked") as caught:
            undecided.identify(headers)
        assert (caught.value.status, caught.value.headers) == (503, [(b"retry-after", b"5")])
    assert keys(values=[f"t:{KEY}"]).identify(bearer(KEY)).tenant == "t"


def test_no_key_shows_up_anywhere(keys, in_file, logged, capsys):
    known = keys(values=[f"t:{KEY}"], files=in_file({"key": OTHER}, {"key": OTHER}))
    with pytest.raises(Unauthorized) as caught:
        known.identify(bearer(f"{KEY}x"))
    kept = [vars(known), vars(known._files), *known._files._files.values(), known._fixed.values()]
    shown = f"{kept} {known.problems} {logged} {caught.value!r} {caught.value.message} {capsys.readouterr()}"
    assert "already" in shown
    for secret in (KEY, OTHER, hashlib.sha256(KEY.encode()).hexdigest()):
        assert secret not in shown


def test_new_keys_cannot_be_guessed():
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"tk-[A-Za-z0-9_-]{43}", key) for key in made)


@pytest.mark.parametrize("value", ["", ":key", "tenant:", "a b", "ten ant:key", "schlüssel", "x" * 513])
def test_values_of_another_shape_are_refused_and_not_shown(value):
    with pytest.raises(ConfigError) as caught:
        load(environ={"VLLM_URL": "http://engine", "TANDEM_KEYS__VALUES": f"['tk-good', {value!r}]"})
    assert caught.value.problems == (
        "keys.values.1: expected `key` or `tenant:key`, the key being visible ASCII characters without spaces",
    )


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://u:secret@h/n", "secret"])
def test_urls_of_other_databases_are_refused_and_not_shown(url):
    with pytest.raises(ConfigError) as caught:
        load(environ={"VLLM_URL": "http://engine", "DATABASE_URL": url})
    assert caught.value.problems == (
        "database.url: expected sqlite:///path or postgresql://user:password@host/name (set by DATABASE_URL)",
    )
