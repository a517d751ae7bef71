"""What a world is, and what can't be in one: frozen structs and pure functions."""
