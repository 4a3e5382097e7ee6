"""The cluster's addresses: the same on every machine, and none of them reachable from another one."""

LOCAL = "127.0.0.1"
NODE = "10.87.0.1"
PODS = "10.88.0.0/16"
SERVICES = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"
DNS_SERVICE = "10.96.0.10"
DOMAIN = "cluster.local"
