"""Callers with tokens of issuers: JSON Web Tokens (RFC 7519), verified by keys that are fetched in the background."""
