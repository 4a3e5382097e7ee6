"""Custom APIs of the cluster, looked up again and again so that one that comes or goes is noticed."""

from typing import Final

from tandem_operator.api.component import INGESTION_QUEUED_API
from tandem_operator.kube.api import Api, ApiError
from tandem_operator.kube.resources import LLM_SERVICE, SECURITY_CONTEXT_CONSTRAINTS, SERVICE_MONITOR, Resource

CUSTOM: Final = (LLM_SERVICE, SERVICE_MONITOR, SECURITY_CONTEXT_CONSTRAINTS)


def capability(resource: Resource) -> str:
    """Return the name of an API as group/version/Kind."""
    return f"{resource.api_version}/{resource.kind}"


async def capabilities(api: Api) -> frozenset[str]:
    """Return the custom APIs that are served now, as group/version/Kind."""
    found = [capability(resource) for resource in CUSTOM if resource.plural in await api.served(resource.api_version)]
    return frozenset([*found, *([INGESTION_QUEUED_API] if await _tells_queued_files(api) else [])])


async def _tells_queued_files(api: Api) -> bool:
    """Return whether an adapter serves the metric: it lists metrics as resources, and is often away."""
    group_version, _, metric = INGESTION_QUEUED_API.rpartition("/")
    try:
        return metric in await api.served(group_version)
    except ApiError:
        return False
