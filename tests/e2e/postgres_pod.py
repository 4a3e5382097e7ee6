"""A PostgreSQL inside the cluster, whose data go with its pod."""

import uuid

from hack import images
from tests.e2e.cluster import Json

NAME = "database"


def postgres() -> list[Json]:
    """A Secret whose key `url` leads to it, its Service and its pod."""
    password = uuid.uuid4().hex
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    url = f"postgresql://postgres:{password}@{NAME}/postgres"
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": NAME},
            "stringData": {"url": url, "password": password},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": {"app": NAME}, "ports": [{"port": 5432}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "labels": {"app": NAME}},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": NAME,
                        "image": images.reference("postgres"),
                        "env": [
                            {
                                "name": "POSTGRES_PASSWORD",
                                "valueFrom": {"secretKeyRef": {"name": NAME, "key": "password"}},
                            }
                        ],
                        "ports": [{"containerPort": 5432}],
                        "readinessProbe": {"tcpSocket": {"port": 5432}, "periodSeconds": 2},
                        "securityContext": restricted,
                    }
                ],
            },
        },
    ]
