"""The keys with which tests ask the demo's service."""

import uuid

from tests.e2e.cluster import Json

API_KEY = f"tk-{uuid.uuid4().hex}"
POETS_KEY = f"tk-{uuid.uuid4().hex}"
KEYS: list[Json] = [
    {"name": "e2e", "tenant": "e2e", "key": API_KEY},
    {"name": "poets", "tenant": "poets", "key": POETS_KEY},
]
