"""Which optional APIs a cluster has."""

from typing import Any

import pytest
from tandem_operator.api.component import INGESTION_QUEUED_API, SERVICE_MONITOR_API
from tandem_operator.kube.api import ApiError
from tandem_operator.kube.discovery import capabilities

EXTERNAL = "external.metrics.k8s.io/v1beta1"


class Api:
    """An API server with these groups, by version; those with an error are away."""

    def __init__(self, groups: dict[str, frozenset[str] | ApiError]) -> None:
        self.groups = groups

    async def served(self, group_version: str) -> frozenset[str]:
        found = self.groups.get(group_version, frozenset())
        if isinstance(found, ApiError):
            raise found
        return found


async def found(groups: dict[str, Any]) -> frozenset[str]:
    api: Any = Api(groups)
    return await capabilities(api)


async def test_a_metric_is_there_when_an_adapter_lists_it() -> None:
    assert await found({EXTERNAL: frozenset({"other"})}) == frozenset()
    assert await found({EXTERNAL: frozenset({"tandem_ingestion_queued"})}) == {INGESTION_QUEUED_API}


async def test_an_adapter_that_is_away_hides_nothing_else() -> None:
    monitors = {"monitoring.coreos.com/v1": frozenset({"servicemonitors"})}
    assert await found({EXTERNAL: ApiError(503, "no endpoints"), **monitors}) == {SERVICE_MONITOR_API}


async def test_an_api_that_cannot_be_asked_for_is_not_taken_for_one_that_is_not_there() -> None:
    with pytest.raises(ApiError):
        await found({"monitoring.coreos.com/v1": ApiError(503, "not now")})
