"""Vector stores and search."""
