"""Anthropic's Messages: their requests as chats, what engines answer as messages."""
