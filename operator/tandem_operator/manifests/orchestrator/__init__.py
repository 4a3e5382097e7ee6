"""Builders of what the orchestrator is made of."""
