"""The operator as a process: watches, queue, resync, leadership, health."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from yarl import URL

from tandem_operator import handlers
from tandem_operator.api.allowance import Allowance
from tandem_operator.health import Heartbeat, health_server
from tandem_operator.kube import discovery, fetchers, metrics, orchestrators
from tandem_operator.kube.api import Api, ApiError, connected
from tandem_operator.kube.barrier import Barrier
from tandem_operator.kube.comparison import compare
from tandem_operator.kube.leader import Candidacy, lead
from tandem_operator.kube.resources import LLM_SERVICE
from tandem_operator.kube.store import Key
from tandem_operator.manifests import Images
from tandem_operator.reconcile import Cluster, reconcile, report_failure
from tandem_operator.replacement import Replacement
from tandem_operator.watches import Watches
from tandem_operator.workqueue import RetryError, WorkQueue

logger = logging.getLogger(__name__)

_PAUSE: Final = 5.0
_PROGRESS_SECONDS: Final = 10.0
_SOON: Final = 10.0


@dataclass(frozen=True)
class Options:
    """How to run."""

    images: Images
    allowance: Allowance
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
    capabilities, sees_nodes = await _capabilities(api), not options.namespaces
    cluster = Cluster(api, options.images, options.allowance, capabilities=capabilities, sees_nodes=sees_nodes)
    barrier = Barrier(api, cluster.store, clusterwide=not options.namespaces)
    queue = WorkQueue(partial(_reconcile, cluster, barrier), partial(report_failure, cluster))
    memo = handlers.Memo(store=cluster.store, queue=queue)
    watches = Watches(memo, options.namespaces, cluster.capabilities)
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(queue.run()),
            group.create_task(_resync(cluster, queue, watches, heartbeat, options)),
            group.create_task(_ask_orchestrators(cluster, queue, options.resync_seconds)),
            group.create_task(_follow_fetches(cluster, queue)),
        ]
        await watches.run()
        for task in background:
            task.cancel()


async def _capabilities(api: Api) -> frozenset[str]:
    """Return what the cluster can do as soon as it can be asked: without the answer children would be pruned."""
    while True:
        try:
            return await discovery.capabilities(api)
        except ApiError as error:
            logger.warning("the API server does not say what it serves, it is asked again: %s", error)
            await asyncio.sleep(_PAUSE)


async def _reconcile(cluster: Cluster, barrier: Barrier, key: Key) -> None:
    try:
        await barrier.passed(key.namespace)
    except ApiError as error:
        raise RetryError(f"not everything is known yet: {error}") from error
    await reconcile(cluster, key)


async def _resync(cluster: Cluster, queue: WorkQueue, watches: Watches, heartbeat: Heartbeat, options: Options) -> None:
    """Look at everything again and again: for what is a matter of time, for APIs that came or went, for lost news."""
    while True:
        heartbeat.beat()
        services = cluster.store.services()
        metrics.SERVICES.set(len(services))
        for key in services:
            if not queue.pauses(key):
                queue.add(key)
        await asyncio.sleep(options.resync_seconds)
        try:
            cluster.capabilities = await discovery.capabilities(cluster.api)
            watches.cover(cluster.capabilities)
            for namespace in _scopes(options.namespaces, cluster.store.services()):
                concerned, restored = await compare(cluster.api, cluster.store, namespace)
                for key in concerned:
                    queue.add(key, urgent=True)
                if restored:
                    watches.begin_anew()
        except ApiError as error:
            logger.warning("what the watches may have missed could not be looked up: %s", error)
        is_served = discovery.capability(LLM_SERVICE) in cluster.capabilities
        metrics.UNDEFINED.set(not is_served)
        if not is_served:
            logger.warning("the cluster has no CustomResourceDefinition of LLMServices, which is waited for")


def _scopes(namespaces: Sequence[str], services: Sequence[Key]) -> set[str | None]:
    """Return the namespaces to compare, None for all at once; a pattern stands for those that are known."""
    if not namespaces:
        return {None}
    return {*(name for name in namespaces if not handlers.is_pattern(name)), *(key.namespace for key in services)}


async def _ask_orchestrators(cluster: Cluster, queue: WorkQueue, seconds: float) -> None:
    """Ask orchestrators again and again how they are: news that no watch brings, and that no reconcile waits for.

    Those that use an engine which may hang are asked sooner.
    """
    directory = orchestrators.Directory(cluster.api, cluster.store)
    replacement, pause, waited = Replacement(cluster, directory), min(seconds, _SOON), 0.0
    while True:
        await asyncio.sleep(pause)
        waited += pause
        if everybody := waited >= seconds:
            waited = 0.0
            said = await orchestrators.ask(await _urls(cluster, directory, cluster.store.services()))
        else:
            doubtful = [key for key, lines in cluster.said.items() if lines.in_doubt]
            said = await orchestrators.ask_again(await _urls(cluster, directory, doubtful))
        turned = {key for key, lines in said.items() if lines != cluster.said.get(key)}
        cluster.said = said if everybody else {**cluster.said, **said}
        turned |= {key for key, lines in said.items() if await replacement.look(key, lines)}
        for key in turned:
            queue.add(key)


async def _follow_fetches(cluster: Cluster, queue: WorkQueue) -> None:
    """Ask again and again how far the Jobs are that fetch models."""
    while True:
        await asyncio.sleep(_PROGRESS_SECONDS)
        at_work = fetchers.fetchers(cluster.store)
        cluster.fetches = await fetchers.ask([pod for pods in at_work.values() for pod in pods])
        for key in at_work:
            queue.add(key)


async def _urls(cluster: Cluster, directory: orchestrators.Directory, services: Iterable[Key]) -> dict[Key, list[URL]]:
    return orchestrators.verifying(await directory.urls(services), cluster.tool_callers)
