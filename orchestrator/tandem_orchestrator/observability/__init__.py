"""What the orchestrator tells about itself: logs, metrics, one record a request."""
