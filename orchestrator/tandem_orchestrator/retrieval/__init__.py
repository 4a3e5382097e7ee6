"""Documents in, passages out: what is searched, and how."""
