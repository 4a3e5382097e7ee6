"""Why a model could not be fetched."""


class FetchError(Exception):
    """What went wrong and what to do; `reason` is its name in one word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class PermanentError(FetchError):
    """What does not get better by itself."""


class PassingError(FetchError):
    """What may be gone at the next attempt; `after` are the seconds that the hub asks to wait, if it says so."""

    def __init__(self, reason: str, message: str, after: float | None = None) -> None:
        super().__init__(reason, message)
        self.after = after


class StoppedError(FetchError):
    """Another thread has failed, or the process is to end."""

    def __init__(self) -> None:
        super().__init__("Stopped", "stopped before the model was complete; what is there is used by the next attempt")
