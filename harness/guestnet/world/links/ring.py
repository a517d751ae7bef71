"""Packet sockets (packet(7)): a ring that the kernel fills with frames, and a sender.

The ring is memory that we share with the kernel (PACKET_RX_RING, TPACKET_V2; Documentation/networking/
packet_mmap.rst): to look for a frame costs no system call, each has the time when it passed, and a burst of
thousands waits there while we do something else. What finds no slot is counted, never waited for.

With ``offloads``, frames are as they are within the kernel: up to 64 KiB with a checksum to be completed, and
before each a virtio net header that says so (PACKET_VNET_HDR). What is too long for a slot is then queued at
the socket too, as far as that has room.

Frames of devices without a link layer get an ethernet header here, and lose it again; see
`guestnet.world.links.bare`.
"""

import errno
import mmap
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from guestnet.core.port import Frame
from guestnet.frames import virtio
from guestnet.world.links import bare

_SOL_PACKET: Final = 263
_RX_RING: Final = 5
_STATISTICS: Final = 6
_COPY_THRESH: Final = 7
_VERSION: Final = 10
_VNET_HDR: Final = 15
_QDISC_BYPASS: Final = 20
_IGNORE_OUTGOING: Final = 23
_SO_MARK: Final = 36
_TPACKET_V2: Final = 1
_OUTGOING: Final = 4
_ETH_P_ALL: Final = 3

_HEADER: Final = struct.Struct("=IIIHHII")
"""``struct tpacket2_hdr``: status, length, octets kept, where the frame begins, …, seconds, nanoseconds."""
_ADDRESS: Final = struct.Struct("=HB")
"""Of ``struct sockaddr_ll`` from octet 8 on: kind of hardware, kind of packet."""
_ADDRESS_AT: Final = 32 + 8
_USER: Final = 1
_COPIED: Final = 2

_ROOM: Final = 128
"""Octets of a slot that are not the frame's."""
_BLOCK: Final = 16
"""Slots of one piece of memory."""
_LARGEST: Final = virtio.HEADER + 65536 + 64

MARK: Final = 0x6C69_6E6B
"""Of packets that a link's engine sends: the hook that takes all others aside lets them pass."""


class Arrival(NamedTuple):
    """A frame that passed at ``at``, in ns of the machine's wall clock, with ``lead`` octets before it.

    ``length`` is what it had; ``octets`` has less when there was no room.
    """

    octets: memoryview
    lead: int
    length: int
    at: int
    outgoing: bool


class Ring:
    """What passes ``device``, in the calling thread's network namespace. Raises OSError."""

    def __init__(
        self, device: str, *, size: int, slots: int, offloads: bool, addresses: bytes | None = None
    ) -> None:
        """``slots`` frames of ``size`` octets fit; without ``offloads`` only incoming ones are read.

        What passes has no link layer when ``device`` has none. When ``device`` does not tell, as frames of
        another one were put onto it, ``addresses`` are those of the header that they get.
        """
        self._addresses = addresses
        self._slot = 2048
        while self._slot < size + _ROOM:
            self._slot *= 2
        self._slots = max(slots // _BLOCK, 1) * _BLOCK
        self._offloads = offloads
        self._lead = virtio.HEADER if offloads else 0
        self._index = 0
        self._copies = offloads
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._map = self._open(device)
        except BaseException:
            self._socket.close()
            raise
        self._octets = memoryview(self._map)
        self._words = self._octets.cast("I")

    def _open(self, device: str) -> mmap.mmap:
        sock = self._socket
        sock.setsockopt(_SOL_PACKET, _VERSION, _TPACKET_V2)
        if self._offloads:
            sock.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
            sock.setsockopt(_SOL_PACKET, _COPY_THRESH, _LARGEST)
        else:
            sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        block = self._slot * _BLOCK
        request = struct.pack("IIII", block, self._slots // _BLOCK, self._slot, self._slots)
        sock.setsockopt(_SOL_PACKET, _RX_RING, request)
        ring = mmap.mmap(sock.fileno(), self._slot * self._slots)
        sock.bind((device, _ETH_P_ALL))
        return ring

    def fileno(self) -> int:
        """Readable when there is something to ``read``."""
        return self._socket.fileno()

    def read(self, limit: int) -> Iterator[Arrival]:
        """What has passed since the last time, at most ``limit`` frames; a copy of each."""
        octets, words, size, lead = self._octets, self._words, self._slot, self._lead
        index, addresses = self._index, self._addresses
        count = 0
        while count < limit:
            start = index * size
            if not words[start >> 2] & _USER:
                break
            count += 1
            status, length, kept, begin, _, seconds, nanoseconds = _HEADER.unpack_from(octets, start)
            hardware, kind = _ADDRESS.unpack_from(octets, start + _ADDRESS_AT)
            first = start + begin - lead
            frame = bytearray(octets[first : first + lead + kept])
            words[start >> 2] = 0
            index += 1
            if index == self._slots:
                index = 0
            self._index = index
            if status & _COPIED:
                frame = self._copied() or frame
            if kept and (addresses is not None or hardware not in bare.WITH_ETHERNET):
                between = addresses or (bare.AWAY if kind == _OUTGOING else bare.BACK)
                frame[lead:lead] = bare.header(between, frame[lead])
                length += bare.LENGTH
                if lead:
                    _shift(frame, bare.LENGTH)
            at = seconds * 1_000_000_000 + nanoseconds
            yield Arrival(memoryview(frame), lead, length, at, kind == _OUTGOING)

    def keep_beginnings(self) -> None:
        """From now on, nothing is copied beside the slots: of longer frames there are only the beginnings."""
        if self._copies:
            self._copies = False
            self._socket.setsockopt(_SOL_PACKET, _COPY_THRESH, 0)

    def missed(self) -> int:
        """How many frames since the last call found no slot."""
        (_, drops) = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        return int(drops)

    def forgive(self) -> None:
        """Take note that the device was down: until then the socket counts as ready."""
        self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def close(self) -> None:
        """Idempotent."""
        if self._socket.fileno() >= 0:
            self._words.release()
            self._octets.release()
            self._map.close()
            self._socket.close()

    def _copied(self) -> bytearray | None:
        """The frame that was too long for its slot."""
        try:
            return bytearray(self._socket.recv(_LARGEST))
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENETDOWN):
                return None
            raise


class Sender:
    """Frames onto ``device`` of the calling thread's network namespace, past every hook. Raises OSError."""

    def __init__(self, device: str, *, is_bare: bool = False) -> None:
        """Without a link layer, when ``is_bare``: frames lose their ethernet header."""
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_MARK, MARK)
            # So taps on the device do not see what the engine sends: it captures that itself.
            self._socket.setsockopt(_SOL_PACKET, _QDISC_BYPASS, 1)
            self._socket.bind((device, 0))
        except BaseException:
            self._socket.close()
            raise
        self.send: Callable[[Frame], int] = self._send_packet if is_bare else self._socket.send
        """Raises OSError."""

    def close(self) -> None:
        """Idempotent."""
        self._socket.close()

    def _send_packet(self, frame: Frame) -> int:
        return self._socket.send(memoryview(frame)[bare.LENGTH :])


def _shift(frame: bytearray, by: int) -> None:
    """Move the offsets of the virtio net header."""
    header = virtio.parse(frame)
    if header.flags & virtio.NEEDS_CSUM:
        moved = header._replace(hdr_len=header.hdr_len + by, csum_start=header.csum_start + by)
        frame[: virtio.HEADER] = virtio.emit(moved)
