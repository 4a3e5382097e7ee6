"""Custom APIs of the cluster, looked up again and again so that one that comes or goes is noticed."""

from typing import Final

from tandem_operator.kube.api import Api
from tandem_operator.kube.resources import LLM_SERVICE, SERVICE_MONITOR, Resource

CUSTOM: Final = (LLM_SERVICE, SERVICE_MONITOR)


def capability(resource: Resource) -> str:
    """Return the name of an API as group/version/Kind."""
    return f"{resource.api_version}/{resource.kind}"


async def capabilities(api: Api) -> frozenset[str]:
    """Return the custom APIs that are served now, as group/version/Kind."""
    return frozenset(
        [capability(resource) for resource in CUSTOM if resource.plural in await api.served(resource.api_version)]
    )
