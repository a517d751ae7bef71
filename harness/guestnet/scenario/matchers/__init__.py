"""What to look for on a link: one module a protocol, each with functions that make matchers.

``tcp.syn(to=("203.0.113.10", 80)) & ~tcp.ecn()`` reads as it is written. Where an end of a flow is asked
for (``to``, ``source``), it may be an address, a port, a pair of both or "address:port".
"""
