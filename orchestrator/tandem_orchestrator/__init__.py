"""The orchestrator: an OpenAI-compatible gateway that runs tools on the server."""
