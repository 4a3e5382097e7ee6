from pathlib import Path

from hack.cluster import leftovers


def test_what_is_ours_goes_and_what_is_not_stays(tmp_path: Path) -> None:
    ours = tmp_path / "cache" / "cluster"
    logs = tmp_path / "var/log/containers"
    results = tmp_path / "var/lib/cni/results"
    plugins = tmp_path / "usr/libexec/kubernetes/kubelet-plugins/volume"
    for folder in (logs, results, plugins, tmp_path / "var/lib/kubelet/device-plugins"):
        folder.mkdir(parents=True)
    (logs / "ours.log").symlink_to(ours / "logs" / "0.log")
    (logs / "theirs.log").symlink_to("/var/log/pods/0.log")
    (results / "tandem-1234-eth0").touch()
    (tmp_path / "var/lib/kubelet/device-plugins/kubelet_internal_checkpoint").touch()
    leftovers.remove(ours, tmp_path)
    assert sorted(path.name for path in logs.iterdir()) == ["theirs.log"]
    assert not results.exists()
    assert not (tmp_path / "usr/libexec/kubernetes").exists()
    assert not (tmp_path / "var/lib/kubelet").exists()
    assert (tmp_path / "var/lib").exists()
