"""Batches: files of requests that are made in the background, below all that somebody waits for."""
