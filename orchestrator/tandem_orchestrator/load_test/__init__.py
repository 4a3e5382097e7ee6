"""A load test of a running service, wherever it is deployed: what its users would feel."""
