"""HTTP/1.1 by hand, on both sides of the gateway: with clients, and with engines."""
