"""IP addresses in one way of writing them, so that they can be compared."""

import ipaddress


def address_in(text: object) -> str | None:
    """Return the IP address that a text is, as Python writes it; None if it is none."""
    try:
        return str(ipaddress.ip_address(text)) if isinstance(text, str) else None
    except ValueError:
        return None
