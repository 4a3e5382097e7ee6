"""What a reader finds in a document: text in the order of reading, and where it stands."""

from typing import Final, NamedTuple

LARGEST: Final = 65_536
"""Characters of a block, about, where a reader may choose: what a document has in one piece beyond comes in parts."""
PARAGRAPH: Final = "\n\n"
LINE: Final = "\n"


class Block(NamedTuple):
    """A paragraph, a row, a function, a page: what would better not be cut."""

    text: str
    page: int | None = None
    heading: str = ""
    gap: str = PARAGRAPH
    """What stands between it and the block before; "" where it goes on with the same text."""
