"""The boxes under test: each has the guests' ethernet on its inside and the laptop's sockets on its outside."""
