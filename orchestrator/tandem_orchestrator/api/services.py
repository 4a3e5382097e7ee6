"""What the endpoints work with; put together in `app`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from tandem_contract.config import OrchestratorConfig

from tandem_orchestrator.auth.keys import Keys
from tandem_orchestrator.batches.desk import Desk
from tandem_orchestrator.engines.catalogue import Catalogue
from tandem_orchestrator.engines.dispatch import Dispatcher
from tandem_orchestrator.engines.tool_calling.verification import ToolCalling
from tandem_orchestrator.engines.upstreams import Upstreams
from tandem_orchestrator.files.filing import Filing
from tandem_orchestrator.gateway.admission import Admission
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.request import Deadlines
from tandem_orchestrator.part import Part
from tandem_orchestrator.responses.preparation import Preparation
from tandem_orchestrator.responses.service import Responses
from tandem_orchestrator.responses.stores import Stores
from tandem_orchestrator.retrieval.service import Retrieval
from tandem_orchestrator.tasks.service import Tasks
from tandem_orchestrator.tools.toolbox import Toolbox


@dataclass(slots=True)
class State:
    """What is true of the process, whichever configuration it has."""

    draining: bool = False
    refused: tuple[str, ...] = ()
    """What is wrong with the configuration on disk, while the one before stays in force."""
    needs_restart: tuple[str, ...] = ()
    """Settings that have changed on disk and count only after a restart."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that serve requests under one configuration; a reload puts another bundle in its place."""

    config: OrchestratorConfig
    state: State
    upstreams: Upstreams
    tool_calling: ToolCalling
    keys: Keys
    admission: Admission
    catalogue: Catalogue
    dispatcher: Dispatcher
    generator: Generator
    toolbox: Toolbox
    preparation: Preparation
    responses: Responses
    stores: Stores
    filing: Filing
    retrieval: Retrieval
    tasks: Tasks
    desk: Desk
    deadlines: Deadlines
    parts: Sequence[Part]


def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


FromApp = Annotated[Services, Depends(_services)]
