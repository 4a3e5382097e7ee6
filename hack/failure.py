"""The error that a person is meant to read."""


class Failure(Exception):
    """Something a person can put right; its text says what was wrong and what to do. Shown without a traceback."""
