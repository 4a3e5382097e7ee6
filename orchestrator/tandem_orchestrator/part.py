"""What has state and lives as long as the process, whatever configuration it has."""

import asyncio

from mypy_extensions import mypyc_attr
from tandem_contract.config import OrchestratorConfig


@mypyc_attr(allow_interpreted_subclasses=True)  # not all of them are compiled
class Part:
    """A part of the orchestrator; it overrides what it has to do. `app.App` has the list of all of them."""

    checked = True
    """False until it has been looked at once, which requests wait for."""

    def update(self, config: OrchestratorConfig) -> None:
        """Take a changed configuration; what is under way goes on."""

    async def watch(self) -> None:
        """Keep fresh what is known; run until cancelled."""
        await asyncio.Event().wait()

    @property
    def problems(self) -> list[str]:
        """A line for each thing that it does not do as it should."""
        return []

    @property
    def limitations(self) -> list[str]:
        """A line for each thing that it cannot do here though nothing is amiss, such as for want of a library."""
        return []

    async def close(self) -> None:
        """Write what is left to write, and let go of what is open."""
