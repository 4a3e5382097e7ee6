"""Responses, conversations, background work, compaction, WebSocket: what an agent needs from one call to the next."""
