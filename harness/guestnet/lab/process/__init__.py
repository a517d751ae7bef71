"""The lab as a process: where it comes from, its client, its control socket, its door."""
