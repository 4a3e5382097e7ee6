"""Vector stores: documents go in, and the passages that answer a question come out."""
