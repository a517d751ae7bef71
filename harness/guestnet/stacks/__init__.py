"""The boxes under test: the guests' ethernet on the inside, the laptop's sockets on the outside."""
