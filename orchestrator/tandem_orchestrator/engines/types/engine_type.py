"""What has to be known about a type of engine."""


class EngineType:
    """How engines of one type differ from others; a subclass says what it knows."""

    takes_cache_salt = False
    """Requests may carry `cache_salt`, which keeps the tenants' cached prefixes apart."""
    health_path: str | None = None
    """Where the engine tells that it is ill though it answers."""
    reasoning_field = "reasoning_content"
    """What a message calls what was thought."""
    tokens_path: str | None = None
    """Where the engine tells how many tokens a chat is, and how many it takes (`count`, `max_model_len`)."""
    load_path: str | None = None
    """Where the engine tells how busy it is."""

    def prefers_responses(self, model: str) -> bool:  # noqa: ARG002 # for subclasses
        """Return whether the engine's own `/v1/responses` does more for a model than its chat completions."""
        return False

    def counts(self, raw: bytes) -> tuple[int, int] | None:  # noqa: ARG002 # for subclasses
        """Return how many requests wait and run inside the engine, read from what it answers at `load_path`.

        None if it does not say.
        """
        return None
