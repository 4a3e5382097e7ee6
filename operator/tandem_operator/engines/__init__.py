"""What is particular to an engine: one file each, behind what `base` says of all."""
