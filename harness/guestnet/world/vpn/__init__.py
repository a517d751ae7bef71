"""VPNs: a tunnel whose packets cross the laptop's uplinks, and the policies that clients set around it.

`session` and `datagram` are the tunnel's protocol, pure; `ends` carries packets in a process of its own
(`tunnels`); `devices` and `policy` are what a client does to the laptop; `running`
puts it together.
"""
