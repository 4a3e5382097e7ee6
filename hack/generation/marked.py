"""A generated table in a page that people write."""

from collections.abc import Iterable


def with_table(page: str, name: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return the page with the table between its two marks written anew; ValueError where a mark is missing."""
    begin, end = f"<!-- {name}: written by hack/generate -->\n", f"<!-- end of {name} -->\n"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    lines = [header, ("---",) * len(header), *rows]
    return before + begin + "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + end + after
