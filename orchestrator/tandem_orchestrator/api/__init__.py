"""The endpoints that FastAPI serves."""
