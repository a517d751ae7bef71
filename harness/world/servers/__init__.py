"""The servers of a world: a Python process for HTTP, echo and half-close, and a dnsmasq for each DNS server.

`harness.world.servers.running` runs in the lab; the other modules in the server process.
"""
