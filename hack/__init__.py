"""The project's local cluster, images and demo: `python3 -m hack`, with nothing but Python's standard library."""
