import pytest

from hack import cache, cluster
from hack.cluster import kind, local
from hack.failure import Failure


@pytest.mark.parametrize(
    ("docker", "system", "user", "name"),
    [(True, "Linux", 0, "kind"), (True, "Darwin", 501, "kind"), (False, "Linux", 0, "local")],
)
def test_docker_is_preferred_and_root_on_linux_needs_none(*, docker: bool, system: str, user: int, name: str) -> None:
    assert cluster.choice(docker=docker, system=system, user=user) == name


@pytest.mark.parametrize(("system", "user"), [("Linux", 1000), ("Darwin", 0)])
def test_where_nothing_can_run_the_message_says_what_is_missing(system: str, user: int) -> None:
    with pytest.raises(Failure, match=r"Docker does not answer.*root on Linux"):
        cluster.choice(docker=False, system=system, user=user)


def test_the_cluster_that_is_up_is_taken_before_any_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind, "docker_answers", lambda: True)
    assert cluster.provider().name == "kind"
    assert cluster.running() is None
    cache.cluster().mkdir(parents=True)
    assert cluster.provider().name == "local"
    assert isinstance(cluster.running(), local.Local)


def test_a_second_cluster_of_another_provider_is_refused() -> None:
    cache.cluster().mkdir(parents=True)
    assert cluster.provider("local").name == "local"
    with pytest.raises(Failure, match="provider local is up"):
        cluster.provider("kind")
