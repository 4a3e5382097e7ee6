"""Pure: how a changed main engine takes the place of the one that serves, step by step."""
