"""Builders of what an engine is made of."""
