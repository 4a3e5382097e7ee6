"""The URLs of databases."""

import re
from typing import Final

SQLITE: Final = "sqlite:///"
POSTGRESQL: Final = ("postgresql://", "postgres://")
DATABASE_FORM: Final = "the URL must be sqlite:///path or postgresql://user:password@host/name"
DRIVER: Final = re.compile(r"^(\w+)\+\w+(?=://)")
"""As in SQLAlchemy's sqlite+aiosqlite:///path; which driver is used is not for the URL to say."""
