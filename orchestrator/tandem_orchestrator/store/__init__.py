"""What outlives a process: the database and Redis."""
