"""What the parts of the local cluster are told, where a mistake would show late or nowhere."""

import tomllib
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from hack import tools
from hack.cluster import addons, addresses, kubelet, proxy, resolver
from hack.cluster.pki import Authority
from hack.cluster.processes import Processes
from hack.cluster.runtime import Runtime


def test_the_kubelet_trusts_known_callers_only_and_keeps_images(tmp_path: Path) -> None:
    settings = kubelet.configuration(
        tmp_path, "unix:///run/x.sock", tmp_path / "resolv.conf", Authority(tmp_path / "pki", "test")
    )
    assert settings["authentication"]["anonymous"] == {"enabled": False}
    assert settings["authorization"] == {"mode": "Webhook"}
    assert settings["imageGCHighThresholdPercent"] == 100
    assert settings["address"] == addresses.NODE


def test_kube_proxy_leaves_the_machines_own_network_alone(tmp_path: Path) -> None:
    settings = proxy.configuration(tmp_path / "kubeconfig")
    assert settings["nodePortAddresses"] == ["primary"]
    assert settings["iptables"]["localhostNodePorts"] is False
    assert settings["conntrack"]["maxPerCore"] == 0


@pytest.mark.parametrize("restrict", [True, False])
def test_containerd_keeps_everything_in_our_folders(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, restrict: bool
) -> None:
    monkeypatch.setattr(tools, "ensure", lambda _: Path("/usr/lib/cni"))
    runtime = Runtime(Processes(tmp_path), tmp_path / "etc", tmp_path / "content", tmp_path / "state")
    settings = tomllib.loads(runtime.configuration("tandem.local/pause:1", restrict_oom_score=restrict))
    cri = settings["plugins"]["io.containerd.cri.v1.runtime"]
    assert cri["restrict_oom_score_adj"] is restrict
    assert settings["plugins"]["io.containerd.cri.v1.images"]["pinned_images"] == {"sandbox": "tandem.local/pause:1"}
    runc = cri["containerd"]["runtimes"]["runc"]["options"]["Root"]
    grpc = settings["plugins"]["io.containerd.server.v1.grpc"]["address"]
    for path in (settings["root"], settings["state"], grpc, runc, cri["cni"]["conf_dir"]):
        assert Path(path).is_relative_to(tmp_path)


MANIFESTS = {
    "access": {"kubelet_client": "kube-apiserver-kubelet-client"},
    "coredns": {
        "image": "tandem.local/coredns:1",
        "address": addresses.DNS_SERVICE,
        "domain": addresses.DOMAIN,
        "forward": resolver.forwarding([]),
    },
    "metrics-server": {"image": "tandem.local/metrics-server:1", "kubelet_trust": "--kubelet-insecure-tls"},
}


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_manifests_are_complete_narrow_and_restricted(manifest: str) -> None:
    applied: list[dict[str, Any]] = []

    def kubectl(*arguments: str, text: str) -> None:
        assert "--server-side" in arguments
        applied.extend(yaml.safe_load_all(text))

    addons.apply(cast("Any", kubectl), manifest, **MANIFESTS[manifest])
    for document in applied:
        if document["kind"] in ("ClusterRole", "Role"):
            assert "*" not in str(document["rules"])
        if document["kind"].endswith("Binding"):
            assert document["roleRef"]["name"] != "cluster-admin"
        if document["kind"] == "Deployment":
            pod = document["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert [each["securityContext"]["capabilities"] for each in pod["containers"]] == [{"drop": ["ALL"]}]
            assert [each["imagePullPolicy"] for each in pod["containers"]] == ["IfNotPresent"]


def test_every_manifest_is_tested() -> None:
    assert {path.stem for path in addons.MANIFESTS.glob("*.yaml")} == set(MANIFESTS)
