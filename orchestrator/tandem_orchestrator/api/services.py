"""What the endpoints work with; put together in `app`."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from tandem_orchestrator.gateway.engines import Engines
from tandem_orchestrator.tools.toolbox import Toolbox


@dataclass(slots=True)
class Services:
    """The parts of a running orchestrator."""

    engines: Engines
    toolbox: Toolbox
    draining: bool = False


def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


FromApp = Annotated[Services, Depends(_services)]
