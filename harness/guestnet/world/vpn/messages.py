"""What the lab and the tunnel process say to each other, one JSON object a line.

The lab writes orders into standard input; its end is the order to stop. The process answers an `Open` with an
`Opened` or a `Failed`, and says a `Changed` for each change of a tunnel's state. `Command` and `Changed` are
also what any other transport is told and tells (`guestnet.world.vpn.transport`).
"""

import msgspec

from guestnet.world.vpn.session import News


class Side(msgspec.Struct, frozen=True):
    """One end: the path of its host's namespace, the MAC address of its interface, and that interface's other
    end, a device in the hidden namespace.

    ``addresses`` are the *other* end's in the tunnel: from there ICMP errors seem to come, as no host
    believes one that comes from itself."""

    namespace: str
    mac: str
    addresses: tuple[str, ...]
    device: str


class Open(msgspec.Struct, frozen=True, tag="open"):
    """Make both ends of the tunnel ``name``; they stay silent until a `Connect`.

    ``mark`` is that of the laptop's datagrams; times in ns.
    """

    name: str
    laptop: Side
    gateway: Side
    hidden: str
    """The path of the namespace of the devices."""
    endpoint: str
    port: int
    mark: int
    key: str
    """In hexadecimal."""
    seed: int
    keepalive: int
    rekey: int
    frag_needed: bool


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """Ask the concentrator for a session."""

    name: str


class Disconnect(msgspec.Struct, frozen=True, tag="disconnect"):
    """End it; nothing is sent any more."""

    name: str


class Renew(msgspec.Struct, frozen=True, tag="renew"):
    """Give the session up and get another one after ``pause`` ns."""

    name: str
    pause: int


class Silence(msgspec.Struct, frozen=True, tag="silence"):
    """The concentrator hears and says nothing, or does again."""

    name: str
    is_silent: bool


class Tune(msgspec.Struct, frozen=True, tag="tune"):
    """Other times, in ns, and whether ICMP errors tell of too large packets."""

    name: str
    keepalive: int
    rekey: int
    frag_needed: bool


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """The tunnel is there."""

    name: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It can't be."""

    name: str
    reason: str


class Changed(msgspec.Struct, frozen=True, tag="changed"):
    """The laptop's client has news; ``source`` is where the concentrator sees it."""

    name: str
    news: News
    source: str = ""


Command = Connect | Disconnect | Renew | Silence | Tune
Order = Open | Command
Report = Opened | Failed | Changed
