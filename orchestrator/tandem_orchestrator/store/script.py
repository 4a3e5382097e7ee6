"""What Redis is asked to run, and that it did not."""

from hashlib import sha1


class RedisDown(Exception):
    """A script did not run, or nobody knows whether it did. The message says why and holds no secret."""


class Script:
    """Lua that Redis runs at once, or not at all."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = sha1(text.encode(), usedforsecurity=False).hexdigest()
