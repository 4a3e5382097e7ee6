"""The server as processes: one that starts and watches the others, and what each of these is."""
