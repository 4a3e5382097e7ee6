"""Where requests go: engines, what they serve and how they are, and which one takes a request."""
