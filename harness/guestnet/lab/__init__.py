"""The lab process, in which everything of one scenario runs, and the client that drives it."""
