from pathlib import Path

from hack.cluster import resolver


def test_name_servers_that_pods_cannot_reach_are_passed_over(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("# systemd\nnameserver 127.0.0.53\noptions edns0\n")
    real.write_text("search home\nnameserver 192.168.1.1\nnameserver fe80::1%eth0\nnameserver ::1\n")
    assert resolver.upstream([tmp_path / "missing", stub, real]) == ["192.168.1.1", "fe80::1%eth0"]
    assert resolver.upstream([stub]) == []


def test_questions_are_passed_on_only_where_somebody_answers_them() -> None:
    assert resolver.forwarding(["192.168.1.1", "9.9.9.9"]) == "forward . 192.168.1.1 9.9.9.9"
    assert resolver.forwarding([]).startswith("#")
    assert resolver.configuration(["192.168.1.1"]) == "nameserver 192.168.1.1\n"
