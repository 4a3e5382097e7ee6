"""The operator as a process: watches, queue, resync, leadership, health."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import kopf

from tandem_operator import handlers
from tandem_operator.health import Heartbeat, health_server
from tandem_operator.kube import discovery, metrics, orchestrators
from tandem_operator.kube.api import Api, ApiError, connected
from tandem_operator.kube.barrier import Barrier, UnseenError
from tandem_operator.kube.leader import Candidacy, lead
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile
from tandem_operator.workqueue import RetryError, WorkQueue

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How to run."""

    images: Images
    namespaces: Sequence[str] = ()
    """Namespaces to serve, or patterns of their names; none means all."""
    metrics_port: int = 8080
    resync_seconds: float = 60
    """How often everything is looked at again, and orchestrators are asked how they are."""
    candidacy: Candidacy | None = None
    """How to take part in the election; None means to be alone."""


async def run(options: Options) -> None:
    """Run until SIGTERM; an exception ends the process, for Kubernetes to start it again."""
    heartbeat = Heartbeat()
    async with connected() as client, health_server(options.metrics_port, heartbeat):
        work = partial(_work, Api(client), options, heartbeat)
        if options.candidacy:
            await lead(client, options.candidacy, work)
        else:
            await work()


async def _work(api: Api, options: Options, heartbeat: Heartbeat) -> None:
    cluster = Cluster(api, options.images, capabilities=await discovery.capabilities(api))
    barrier = Barrier(api, cluster.store, clusterwide=not options.namespaces)
    queue = WorkQueue(partial(_look, cluster, barrier))
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(queue.run()),
            group.create_task(_resync(cluster, queue, heartbeat, options.resync_seconds)),
            group.create_task(_listen(cluster, queue, options.resync_seconds)),
        ]
        await kopf.operator(
            registry=handlers.REGISTRY,
            settings=handlers.settings(options.namespaces),
            memo=handlers.Memo(store=cluster.store, queue=queue),
            clusterwide=not options.namespaces,
            namespaces=options.namespaces,
            standalone=True,
            # Used only with peering, but kopf's own guess fails for a user without a name.
            identity="tandem-operator",  # type: ignore[arg-type]
        )
        for task in background:
            task.cancel()


async def _look(cluster: Cluster, barrier: Barrier, key: Key) -> None:
    try:
        await barrier.passed(key.namespace)
    except (ApiError, UnseenError) as error:
        raise RetryError(f"not everything is known yet: {error}") from error
    await reconcile(cluster, key)


async def _resync(cluster: Cluster, queue: WorkQueue, heartbeat: Heartbeat, seconds: float) -> None:
    """Look at everything again and again: for what is a matter of time and for optional APIs that came or went."""
    while True:
        heartbeat.beat()
        try:
            cluster.capabilities = await discovery.capabilities(cluster.api)
        except ApiError as error:
            logger.warning("optional APIs could not be looked up, the last answer stands: %s", error)
        services = cluster.store.services()
        metrics.SERVICES.set(len(services))
        for key in services:
            queue.add(key)
        await asyncio.sleep(seconds)


async def _listen(cluster: Cluster, queue: WorkQueue, seconds: float) -> None:
    """Ask orchestrators again and again how they are: news that no watch brings, and that no reconcile waits for."""
    directory = orchestrators.Directory(cluster.api, cluster.store)
    while True:
        await asyncio.sleep(seconds)
        said = await orchestrators.ask(await directory.places())
        turned = [key for key, lines in said.items() if lines != cluster.said.get(key)]
        cluster.said = said
        for key in turned:
            queue.add(key)
