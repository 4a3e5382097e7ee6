"""`tandem-orchestrator stores`: which vector stores there are, and another embedding model for them."""
