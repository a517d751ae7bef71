"""Sockets, descriptors and the driver's loop around the sans-I/O gateway."""
