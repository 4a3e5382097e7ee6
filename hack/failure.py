"""The error that a person is meant to read."""


class Failure(Exception):  # noqa: N818 # of the machine or of what was asked for, not of this program
    """Something a person can put right; its text says what was wrong and what to do. Shown without a traceback."""
