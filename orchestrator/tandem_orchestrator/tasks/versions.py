"""The versions of a task, and which of them a request gets. Decides; does no I/O."""

from itertools import accumulate

from tandem_orchestrator.errors import NotFound
from tandem_orchestrator.tasks.version import Version


class Versions:
    """Those of one name, or those of them that a tenant may use."""

    def __init__(self, *versions: Version) -> None:
        self.all = list(versions)

    def __bool__(self) -> bool:
        return bool(self.all)

    def add(self, version: Version) -> None:
        """Take another one."""
        self.all.append(version)

    @property
    def paths(self) -> set[str]:
        """Their own paths."""
        return {version.settings.path for version in self.all if version.settings.path is not None}

    def of(self, tenant: str) -> "Versions":
        """Return those that a tenant may use."""
        return Versions(
            *(each for each in self.all if each.settings.tenants is None or tenant in each.settings.tenants)
        )

    def named(self, number: str) -> Version:
        """Return the version that a request names. Raises `NotFound`."""
        for version in self.all:
            if version.number == number:
                return version
        there = ", ".join(version.number for version in self.all)
        raise NotFound(
            f"this task has no version {number[:64]!r}; there are: {there}",
            param="version",
            code="task_version_not_found",
        )

    def drawn(self, at: float) -> Version:
        """Return the version that has the place `at`, from 0 to below 1, where each has as much room as weight.

        Raises `NotFound` where none has any.
        """
        ends = list(accumulate(version.settings.weight for version in self.all))
        for version, end in zip(self.all, ends, strict=True):
            if at * ends[-1] < end:
                return version
        there = ", ".join(version.number for version in self.all)
        raise NotFound(f"name a version of this task: {there}", param="version", code="task_version_not_found")
