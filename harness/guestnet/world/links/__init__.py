"""The links of a running world: captured in passing, and impaired by the same engine as the guest's cable.

A link is a veth pair, and nothing stands in its way: a tap beside it (`tap`) reads what passes. Only while
something impairs it do its frames go through this process: `diversion` takes them aside, `impaired` offers
them to a `guestnet.link.link.Link` and sends on what that lets through. `running` has all links of a world.
"""
