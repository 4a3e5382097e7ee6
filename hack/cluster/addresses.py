"""The cluster's addresses: the same on every machine, and none of them reachable from another one."""

from typing import Final

LOCAL: Final = "127.0.0.1"
NODE: Final = "10.87.0.1"
PODS: Final = "10.88.0.0/16"
SERVICES: Final = "10.96.0.0/16"
KUBERNETES_SERVICE: Final = "10.96.0.1"
DNS_SERVICE: Final = "10.96.0.10"
DOMAIN: Final = "cluster.local"
