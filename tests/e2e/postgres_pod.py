"""A PostgreSQL inside the cluster, whose data go with its pod."""

import uuid

from hack import images
from tests.e2e.cluster import Json
from tests.e2e.pods import secret, server


def postgres(name: str) -> list[Json]:
    """A Secret whose key `url` leads to it, its Service and its pod."""
    password = uuid.uuid4().hex
    from_secret = {"secretKeyRef": {"name": name, "key": "password"}}
    return [
        secret(name, url=f"postgresql://postgres:{password}@{name}/postgres", password=password),
        *server(
            name, images.reference("postgres"), 5432, env=[{"name": "POSTGRES_PASSWORD", "valueFrom": from_secret}]
        ),
    ]
