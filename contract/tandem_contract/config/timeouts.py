"""`timeouts`: how long each phase of a request may take."""

from tandem_contract.config.base import Seconds, Section


class Timeouts(Section):
    """How long each phase of a request may take."""

    connect_seconds: Seconds = 5.0
    """Opening a connection to the engine."""
    first_byte_seconds: Seconds = 600.0
    """From the request's last byte to the answer's first."""
    idle_seconds: Seconds = 120.0
    """Silence between two pieces of an answer; also how long a client may stop reading one."""
    request_seconds: Seconds = 3600.0
    """A whole request, waiting and tools included; longer means 504."""
    body_seconds: Seconds = 30.0
    """Receiving a request's headers, and then its body, from the client; longer means 408."""
    keep_alive_seconds: Seconds = 75.0
    """An idle connection of a client stays open so long."""
