"""How far a database has been migrated, beside what this version knows. Decides; does no I/O."""

from typing import NamedTuple


class Revision(NamedTuple):
    """One migration."""

    id: str
    what: str
    """What it makes, in a few words."""


class Schema(NamedTuple):
    """The revision that a database is at, and those that this version knows, the oldest first."""

    found: str | None
    """None for a database without tables of ours."""
    known: tuple[Revision, ...]

    @property
    def last(self) -> str:
        """The last revision that this version knows."""
        return self.known[-1].id

    @property
    def later(self) -> bool:
        """Whether a later version has migrated it."""
        return self.found is not None and self._number(self.found) is None

    @property
    def missing(self) -> tuple[Revision, ...]:
        """Migrations that it lacks; a later version's database has all of ours, as migrations only add."""
        if self.found is None:
            return self.known
        number = self._number(self.found)
        return () if number is None else self.known[number + 1 :]

    @property
    def problem(self) -> str | None:
        """A line about what is not as this version would have it."""
        if self.later:
            return f"the database has been migrated by a later version ({self.found}, this one knows {self.last})"
        return lacking(self.missing) if self.missing else None

    def without(self, revision: str) -> str | None:
        """Return why what needs a migration cannot be done; None where it can."""
        found = [each for each in self.missing if each.id == revision]
        return lacking(found) if found else None

    def why_not(self, revision: str, *, down: bool) -> str | None:
        """Return why the database cannot be brought to a revision, upwards or `down`; None where it can."""
        number = self._number(revision)
        if number is None:
            return f"there is no migration {revision!r} here, only {', '.join(each.id for each in self.known)}"
        if self.later:
            return f"{self.problem}: only that version can change it"
        at = -1 if self.found is None else self._number(self.found)
        if at is not None and not down and number < at:
            return f"the database is at {self.found} already; --down {revision} would lead back"
        if at is not None and down and number > at:
            return f"the database is at {self.found or 'no migration'}; --to {revision} would lead on"
        return None

    def _number(self, revision: str) -> int | None:
        return next((n for n, each in enumerate(self.known) if each.id == revision), None)


def lacking(missing: "tuple[Revision, ...] | list[Revision]") -> str:
    """Return what a database lacks, and what to do."""
    names = ", ".join(f"{each.id} ({each.what})" for each in missing)
    return (
        f"the database lacks migration {names}, which its role may not run; run `tandem-orchestrator migrate` "
        "as one that may"
    )
