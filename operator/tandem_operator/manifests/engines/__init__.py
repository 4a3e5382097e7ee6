"""One builder an engine type: from the spec to the engine's container."""
