"""The orchestrator's roll-out, held back while its database is not migrated: what runs goes on as it is."""

from datetime import UTC, datetime

from tandem_operator.api.component import Reference
from tandem_operator.api.llmservice import LLMService
from tandem_operator.kube.api import Api
from tandem_operator.kube.children import Children
from tandem_operator.kube.resources import JOB, SECRET, Object
from tandem_operator.kube.store import reference
from tandem_operator.manifests.attempts import next_attempt
from tandem_operator.manifests.orchestrator import migration


class Rollout:
    """The children of one service, applied; `awaited` is the Job that orchestrators wait for, if they do."""

    def __init__(self, api: Api, children: Children, service: LLMService, awaited: Object | None) -> None:
        self._api = api
        self._children = children
        self._service = service
        self._awaited = awaited

    async def apply(self, manifest: Object, floor: int | None = None) -> None:
        """Bring a child to what is wanted, if its time has come.

        ApiError, NameTakenError: as in `Children.apply`.
        """
        if manifest["kind"] == JOB.kind:
            await self._migrate()
        elif not self._awaited or not self._needs_the_database(manifest):
            await self._children.apply(manifest, floor)
        elif self._service.spec.suspend:
            await self._children.apply(migration.at_rest(manifest), floor)

    def _needs_the_database(self, manifest: Object) -> bool:
        return reference(manifest) in [Reference("Deployment", each.name) for each in self._service.orchestrators]

    async def _migrate(self) -> None:
        """Make the Job or, once it failed and has rested, another; without the Secret its pod would only wait."""
        if not self._awaited or self._service.spec.suspend:
            return
        live = await self._children.find(self._awaited)
        secret = await self._secret_version()
        if secret and (attempt := next_attempt(self._awaited, live, secret, datetime.now(UTC))):
            await self._children.make(attempt, live)

    async def _secret_version(self) -> str | None:
        """Return the version of the Secret with the database's URL; None without it, or without the key in it."""
        ((name, keys),) = self._service.state_secrets.items()
        found = await self._api.get(SECRET, self._service.namespace, name)
        if found is None or not keys <= (found.get("data") or {}).keys():
            return None
        return str(found["metadata"]["resourceVersion"])
