"""Speech, which becomes text."""
