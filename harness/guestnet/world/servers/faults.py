"""The name server behind a world's name servers that fails the names it is asked for.

dnsmasq, which has the names in the world's eyes, forwards these here and passes on what comes back.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from guestnet.world.described.model import Fault, Record

PORT: Final = 53
_TTL: Final = 60
_BATCH: Final = 64
_LARGEST: Final = 65535


def answer(
    query: bytes, faults: Mapping[str, Fault], records: Sequence[Record], *, stream: bool
) -> bytes | None:
    """What ``query`` is answered with, over TCP if ``stream``; None for no answer at all."""
    try:
        asked = dns.message.from_wire(query)
        (question,) = asked.question
    except (dns.exception.DNSException, ValueError):
        return None
    if asked.flags & dns.flags.QR:
        return None
    name = question.name.to_text(omit_final_dot=True).lower()
    fault = next((fault for failed, fault in faults.items() if _is_below(name, failed.lower())), "REFUSED")
    if fault == "SILENT":
        return None
    response = dns.message.make_response(asked)
    if fault != "TRUNCATED":
        response.set_rcode(dns.rcode.from_text(fault))
    elif not stream:
        response.flags |= dns.flags.TC
    else:
        wanted = dns.rdatatype.to_text(question.rdtype)
        values = [each.value for each in records if each.name.lower() == name and each.type == wanted]
        if values:
            response.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", wanted, *values))
    return response.to_wire()


def _is_below(name: str, parent: str) -> bool:
    return name == parent or name.endswith(f".{parent}")


class FailingServer:
    """Answers on sockets that are bound to the same port."""

    def __init__(
        self, datagram: socket.socket, faults: Mapping[str, Fault], records: Sequence[Record]
    ) -> None:
        self._socket = datagram
        self._faults = faults
        self._records = records

    def readable(self) -> None:
        """Answer the datagrams that have come."""
        for _ in range(_BATCH):
            try:
                query, address = self._socket.recvfrom(_LARGEST)
                if (reply := answer(query, self._faults, self._records, stream=False)) is not None:
                    self._socket.sendto(reply, address)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier answer
                continue

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the queries of a connection (RFC 7766 section 8)."""
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                query = await reader.readexactly(length)
                if (reply := answer(query, self._faults, self._records, stream=True)) is not None:
                    writer.write(struct.pack("!H", len(reply)) + reply)
                    await writer.drain()
        except (EOFError, OSError):  # the client has done, or is gone
            return
        finally:
            writer.close()
