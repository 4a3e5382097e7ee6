"""How an issuer is asked."""

from tandem_orchestrator.auth.oidc.issuer import pause


def test_an_issuer_that_stays_away_is_asked_ever_less_often_and_never_no_more():
    assert [pause(failures) for failures in (1, 2, 3, 6, 7, 100_000)] == [2, 4, 8, 60, 60, 60]
