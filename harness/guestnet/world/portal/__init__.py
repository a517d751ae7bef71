"""Captive portals: access points that let nothing through until somebody logs in.

An access point is a host of the world that forwards. The portal is a table of nftables there, a dnsmasq
(DHCP with RFC 8910's option, and names), and servers on its addresses (`guestnet.world.servers.asking`) which
ask the lab for every answer: `decide` is what they get, `running` what becomes of a login.
"""
