"""The builtin stack, sans I/O: events of the edge in, commands to the edge out.

``events`` and ``commands`` are the vocabulary, ``gateway`` dispatches, ``interface`` is ethernet;
``ip_layer`` and ``ipv6_layer`` are the versions of IP above it. ``addressing`` decides where a destination
leads, and the ``*_flows`` keep the tables of flows.
"""
