"""Keys that are made here."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError
from tandem_orchestrator.auth.issuing import issue
from tandem_orchestrator.auth.terms import NewTerms

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_only_the_hash_is_kept():
    key, stored = issue(NewTerms(tenant="t", tokens_per_day=5), NOW)
    assert stored.hash == hashlib.sha256(key.encode()).hexdigest()
    assert key.startswith(stored.prefix)
    assert len(stored.prefix) == 10
    assert key not in repr(stored)
    assert stored.hash not in repr(stored)
    assert (stored.tenant, stored.tokens_per_day, stored.created, stored.expires) == ("t", 5, NOW, None)


@pytest.mark.parametrize(
    ("lifetime", "length"),
    [
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("9999w", timedelta(weeks=9999)),
    ],
)
def test_lifetimes(lifetime, length):
    assert issue(NewTerms(tenant="t", expires_in=lifetime), NOW)[1].expires == NOW + length


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"tenant": ""},
        {"tenant": "a b"},
        {"tenant": "t", "expiresIn": "30"},
        {"tenant": "t", "expiresIn": "0d"},
        {"tenant": "t", "expiresIn": "99999w"},
        {"tenant": "t", "expiresIn": "1d", "expires": "2027-01-01T00:00:00Z"},
        {"tenant": "t", "requestsPerMinute": 10**18},
        {"tenant": "t", "models": ["a b"]},
        {"tenant": "t", "models": []},
        {"tenant": "t", "key": "tk-my-own"},
    ],
)
def test_terms_that_make_no_sense(wrong):
    with pytest.raises(ValidationError):
        NewTerms.model_validate(wrong)


def test_ids_sort_by_when_they_were_made():
    ids = [issue(NewTerms(tenant="t"), NOW + timedelta(milliseconds=n))[1].id for n in range(50)]
    assert ids == sorted(ids)
