"""Optional APIs of the cluster, looked up again and again so that one installed later is picked up."""

from tandem_operator.kube.api import Api
from tandem_operator.kube.resources import SECURITY_CONTEXT_CONSTRAINTS, SERVICE_MONITOR, Resource

OPTIONAL: tuple[Resource, ...] = (SERVICE_MONITOR, SECURITY_CONTEXT_CONSTRAINTS)


async def capabilities(api: Api) -> frozenset[str]:
    """Return the optional APIs that are served now, as group/version/Kind."""
    return frozenset(
        [
            f"{resource.api_version}/{resource.kind}"
            for resource in OPTIONAL
            if resource.plural in await api.served(resource.api_version)
        ]
    )
