"""A Hugging Face hub of a test's own, with the storage to which it sends those who ask for large files."""

from tests.hub_double.hub import HubDouble, Refusal
from tests.hub_double.repository import Commit

__all__ = ["Commit", "HubDouble", "Refusal"]
