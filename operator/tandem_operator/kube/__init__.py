"""The only I/O of the operator: reading and writing the API server, and asking orchestrators how they are."""
