"""The tunnel's datagrams: those of WireGuard in shape, with keys that everybody can know.

::

    initiation   type 1   sender                        nonce (16)     stamp (8)          tag (16)
    response     type 2   sender    receiver            nonce (16)                        tag (16)
    data         type 4             receiver            counter (8)    packet             tag (16)

Integers are little-endian, the type takes four octets, an index (sender, receiver) four. A data datagram adds
32 octets to the packet, as WireGuard's does; one without a packet is a keepalive. The tag is BLAKE2s (RFC
7693) of all before it, keyed. It tells who has sent a datagram; nothing is secret, so that a capture of an
uplink can be read. There is no Diffie-Hellman and no cookie.
"""

import hashlib
import struct
from typing import Final, NamedTuple

from guestnet.core.errors import WireError

INITIATION: Final = 1
RESPONSE: Final = 2
DATA: Final = 4

KEY: Final = 32
NONCE: Final = 16
TAG: Final = 16
DATA_HEADER: Final = 16
OVERHEAD: Final = DATA_HEADER + TAG
"""Octets of a data datagram around the packet; UDP and IP come around that."""

Octets = bytes | bytearray | memoryview

_INITIATION: Final = struct.Struct("<II16sQ")
_RESPONSE: Final = struct.Struct("<III16s")
_DATA: Final = struct.Struct("<IIQ")
_LENGTHS: Final = {INITIATION: _INITIATION.size + TAG, RESPONSE: _RESPONSE.size + TAG}


class Initiation(NamedTuple):
    """Asks for a session. ``stamp`` grows with each, so that an old one can't be sent again."""

    sender: int
    nonce: bytes
    stamp: int


class Response(NamedTuple):
    """Grants the session that ``receiver`` has asked for."""

    sender: int
    receiver: int
    nonce: bytes


class SealingKey:
    """Makes and checks tags under one key."""

    def __init__(self, key: bytes) -> None:
        # A keyed hash begins with a block of the key; copies share that work.
        self._keyed = hashlib.blake2s(key=key, digest_size=TAG)

    def tag(self, *parts: Octets) -> bytes:
        """Of ``parts``, one after the other."""
        tag = self._keyed.copy()
        for part in parts:
            tag.update(part)
        return tag.digest()

    def data(self, receiver: int, counter: int, packet: Octets) -> bytes:
        """The datagram that carries ``packet``, which may be empty."""
        header = _DATA.pack(DATA, receiver, counter)
        return b"".join((header, packet, self.tag(header, packet)))

    def opened(self, datagram: memoryview) -> memoryview:
        """The packet of a data datagram. Raises WireError when its tag is wrong."""
        if self.tag(datagram[:-TAG]) != datagram[-TAG:]:
            raise WireError("the tag of a data datagram is wrong")
        return datagram[DATA_HEADER:-TAG]

    def emit(self, message: Initiation | Response) -> bytes:
        """The datagram of ``message``."""
        if isinstance(message, Initiation):
            body = _INITIATION.pack(INITIATION, *message)
        else:
            body = _RESPONSE.pack(RESPONSE, *message)
        return body + self.tag(body)

    def parse(self, datagram: memoryview) -> Initiation | Response:
        """A datagram of type 1 or 2. Raises WireError."""
        kind = kind_of(datagram)
        if len(datagram) != _LENGTHS.get(kind):
            raise WireError(f"a datagram of type {kind} with {len(datagram)} octets")
        if self.tag(datagram[:-TAG]) != datagram[-TAG:]:
            raise WireError(f"the tag of a datagram of type {kind} is wrong")
        if kind == INITIATION:
            _, sender, nonce, stamp = _INITIATION.unpack_from(datagram)
            return Initiation(sender, nonce, stamp)
        _, sender, receiver, nonce = _RESPONSE.unpack_from(datagram)
        return Response(sender, receiver, nonce)


def kind_of(datagram: memoryview) -> int:
    """The type; 0 when there is none."""
    return int.from_bytes(datagram[:4], "little") if len(datagram) >= 4 else 0


def data_of(datagram: memoryview) -> tuple[int, int]:
    """Receiver and counter of a data datagram. Raises WireError when it is too short."""
    if len(datagram) < OVERHEAD:
        raise WireError(f"a data datagram of {len(datagram)} octets")
    _, receiver, counter = _DATA.unpack_from(datagram)
    return receiver, counter


def derive(key: bytes, *parts: bytes) -> bytes:
    """A key of `KEY` octets from ``key`` and what makes it another one."""
    return hashlib.blake2s(b"\0".join(parts), key=key, digest_size=KEY).digest()
