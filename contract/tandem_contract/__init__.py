"""What the operator and the orchestrator agree on, each thing written once."""

__version__ = "0.1.0"
