import tomllib

from hack import versions
from hack.tools import node


def test_kubectl_and_kind_are_of_the_version_of_the_cluster() -> None:
    kubernetes = node.version_of("k8s.io/kubernetes")
    assert f"v{versions.pinned('tools')['kubectl']}" == kubernetes
    assert versions.pinned("images")["kind-node"].startswith("kindest/node:v1.37.")


def test_every_version_is_exact() -> None:
    tables = tomllib.loads(versions.FILE.read_text())
    for name in ("tools", "go"):
        assert all(version.replace(".", "").isdigit() for version in tables[name].values())
