"""Protocol machines of a host or router that faces ethernet: no I/O, no clock, no randomness of their own."""
