"""Vectors of texts: by an engine, or by a model in this process."""
