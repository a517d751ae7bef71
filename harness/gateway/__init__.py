"""The builtin stack, sans I/O: events of the edge in, commands to the edge out.

``events`` and ``commands`` are the vocabulary, ``gateway`` dispatches, ``interface`` is ethernet, ARP and
IPv4, ``addressing`` decides where a destination leads, and the ``*_flows`` keep the tables of flows.
"""
